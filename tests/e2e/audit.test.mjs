// The record: one row for each call whatever became of it, chained, streamed, and durable where asked.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectV1 } from './lib/clients.mjs';
import { startRaw, startV1 } from './lib/servers.mjs';
import { prepareTulle, startTulle } from './lib/tulle.mjs';
import { assertNoSecrets, guard, plant } from './lib/secrets.mjs';
import { open, rpc } from './lib/http.mjs';
import { until } from './lib/children.mjs';

let tulle, org, server, raw, stream;
before(async () => {
    [tulle, server, raw] = await Promise.all([prepareTulle(), startV1(), startRaw()]);
    stream = join(tulle.dataDir, 'audit.jsonl');
    tulle.env.AUDIT_STREAM = `file:${stream}`;
    await tulle.serve();
    org = await tulle.makeOrg('acme');
});
after(() => tulle?.end());

const calls = async (connection, who = org) => (await tulle.use('CONNECTION_CALLS_LIST', { connection_id: connection.id, limit: 100 }, who)).items;
const toolRows = async (connection) => (await calls(connection)).filter((row) => row.method === 'tools/call');
/** Waits for exactly `n` tools/call rows, oldest first. */
const rows = async (connection, n) => until(`${n} rows`, async () => {
    const found = await toolRows(connection);
    return found.length >= n && found.reverse();
});

test('every outcome has its one row: ok, tool_error, denied, failed, cancelled', async () => {
    const connection = await tulle.connect(org, { name: 'outcomes', url: server.url });
    const down = await tulle.connect(org, { name: 'down', url: 'http://127.0.0.1:9/mcp' });
    const { key } = await tulle.use('API_KEY_CREATE', { name: 'narrow', tools: ['echo'] }, org);
    guard(key, 'narrow key');
    await tulle.callTool(connection, 'echo', { text: 'x' }, org);
    await tulle.callTool(connection, 'fail', {}, org);
    await tulle.callTool(connection, 'add', { a: 1, b: 2 }, { key });
    await tulle.callTool(down, 'echo', {}, org);
    const found = await rows(connection, 3);
    assert.deepEqual(found.slice(0, 3).map((row) => [row.name, row.outcome]), [['echo', 'ok'], ['fail', 'tool_error'], ['add', 'denied']]);
    assert.deepEqual((await rows(down, 1)).map((row) => row.outcome), ['failed']);
    const [failed] = await rows(down, 1);
    assert.ok(failed.error.length > 0, 'a failed call says why');
    assert.equal(new Set(found.map((row) => row.request_id)).size, found.length);
    assert.notEqual(found[2].key_id, found[0].key_id);
});

test('a cancelled call is recorded as cancelled, once', async () => {
    const connection = await tulle.connect(org, { name: 'cancelling', url: server.url });
    const client = await connectV1(connection.mcp, org.key);
    const abort = new AbortController();
    const call = client.callTool({ name: 'slow', arguments: { ms: 20_000 } }, undefined, { signal: abort.signal });
    setTimeout(() => abort.abort('enough'), 300);
    await assert.rejects(call);
    const [row] = await rows(connection, 1);
    assert.equal(row.outcome, 'cancelled');
    assert.ok(row.duration_ms >= 200);
    await client.close();
});

test('a client that left is recorded as cancelled', async () => {
    const connection = await tulle.connect(org, { name: 'leaving', url: raw.url });
    const answer = await open(connection.mcp, { key: org.key, body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'endless', arguments: {} } } });
    await until('it streams', () => answer.text().length > 0);
    answer.close();
    const [row] = await rows(connection, 1);
    assert.equal(row.outcome, 'cancelled');
    await until('the server was told', async () => (await raw.seen()).some((request) => request.body.includes('endless') && request.closedEarly));
});

test('rows count bytes and time', async () => {
    const connection = await tulle.connect(org, { name: 'measuring', url: server.url });
    await tulle.callTool(connection, 'big', { bytes: 100_000 }, org);
    await tulle.callTool(connection, 'slow', { ms: 300 }, org);
    const [big, slow] = await rows(connection, 2);
    assert.ok(big.bytes_out >= 100_000 && big.bytes_out < 120_000, String(big.bytes_out));
    assert.ok(big.bytes_in > 50 && big.bytes_in < 1000, String(big.bytes_in));
    assert.ok(slow.duration_ms >= 300 && slow.duration_ms < 10_000, String(slow.duration_ms));
});

test('a hundred calls are a hundred rows', async () => {
    const connection = await tulle.connect(org, { name: 'hundred', url: server.url });
    await Promise.all(Array.from({ length: 100 }, (_, i) => tulle.callTool(connection, 'echo', { text: String(i) }, org)));
    await until('all rows', async () => (await toolRows(connection)).length >= 100);
    const args = { connection_id: connection.id, limit: 40 };
    const ids = [];
    for (let cursor; ;) {
        const page = await tulle.use('CONNECTION_CALLS_LIST', { ...args, ...(cursor && { cursor }) }, org);
        ids.push(...page.items.filter((row) => row.method === 'tools/call').map((row) => row.id));
        assert.equal(page.total_count, undefined, 'call lists have no total_count');
        if (!(cursor = page.next_cursor)) break;
    }
    assert.equal(new Set(ids).size, 100);
});

test('arguments are not recorded unless the organization asks for it', async () => {
    const connection = await tulle.connect(org, { name: 'private', url: server.url });
    await tulle.callTool(connection, 'echo', { text: 'very-private-words' }, org);
    await rows(connection, 1);
    assert.ok(!JSON.stringify(await calls(connection)).includes('very-private-words'));
    assert.ok(!readFileSync(stream, 'utf8').includes('very-private-words'));
});

test('arguments that the organization asked for are recorded, redacted', async () => {
    const connection = await tulle.connect(org, { name: 'open book', url: raw.url });
    await tulle.use('ORGANIZATION_UPDATE', { audit_arguments: true }, org);
    await until('arguments are recorded', async () => {
        await tulle.callTool(connection, 'echo', { text: 'words to keep', password: plant('argument'), nested: { api_key: plant('nested argument') } }, org);
        const texts = await Promise.all((await toolRows(connection)).map(async (row) => (await tulle.tool('CONNECTION_CALL_GET', { call_id: row.id }, org)).text));
        for (const text of texts) assertNoSecrets(text, 'a recorded call');
        return texts.some((text) => text.includes('words to keep'));
    });
    await tulle.use('ORGANIZATION_UPDATE', { audit_arguments: false }, org);
});

test('a member sees their own calls only', async () => {
    const connection = await tulle.connect(org, { name: 'whose', url: server.url });
    await tulle.makeUser('mia@example.test');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: 'mia@example.test', role: 'member' }, org);
    const mia = { key: await tulle.makeKey('acme', 'mia@example.test') };
    await tulle.callTool(connection, 'echo', { text: 'a' }, org);
    await tulle.callTool(connection, 'echo', { text: 'b' }, mia);
    await rows(connection, 2);
    assert.equal((await calls(connection, mia)).filter((row) => row.method === 'tools/call').length, 1);
});

test('administrative acts are recorded, refused ones too', async () => {
    await tulle.use('ORGANIZATION_UPDATE', { description: 'noted' }, org);
    const { items } = await until('the row', async () => {
        const list = await tulle.use('ORGANIZATION_AUDIT_LIST', { limit: 100 }, org);
        return list.items.some((row) => JSON.stringify(row).includes('ORGANIZATION_UPDATE')) && list;
    });
    const row = items.find((one) => JSON.stringify(one).includes('ORGANIZATION_UPDATE'));
    assert.deepEqual([row.outcome, row.user_id], ['ok', org.user_id]);
    assert.ok(items.every((one, i) => i === 0 || one.at <= items[i - 1].at), 'newest first');
});

test('the stream has a versioned JSON line for each row, chained by hashes, without secrets', async () => {
    const text = await until('lines', () => {
        const now = readFileSync(stream, 'utf8');
        return now.split('\n').length > 100 && now;
    });
    const lines = text.trimEnd().split('\n').map((line) => JSON.parse(line));
    assertNoSecrets(text, 'the audit stream');
    assert.ok(lines.every((line) => 'v' in line || 'version' in line), 'versioned');
    assert.equal(new Set(lines.map((line) => line.id)).size, lines.length);
    const last = new Map();
    for (const line of lines) {
        assert.match(line.hash, /^\S{40,}$/);
        if (last.has(line.chain)) assert.equal(line.prev_hash, last.get(line.chain), `the chain of ${line.chain} holds`);
        last.set(line.chain, line.hash);
    }
});

test('AUDIT_SYNC=1: what was answered is on record, even after kill -9', async () => {
    const own = await startTulle({ env: { AUDIT_SYNC: '1' } });
    const owner = await own.makeOrg('synced');
    const connection = await own.connect(owner, { name: 'c', url: server.url });
    let answered = 0;
    const callers = Array.from({ length: 4 }, async () => {
        for (let i = 0; i < 200; i++) {
            const answer = await own.callTool(connection, 'echo', { text: String(i) }, owner).catch(() => null);
            if (!answer?.body?.result) return;
            answered++;
        }
    });
    await until('some calls', () => answered >= 30, 30_000);
    await own.kill9();
    await Promise.all(callers);
    await own.serve();
    let found = 0;
    for (let cursor; ;) {
        const page = await own.use('CONNECTION_CALLS_LIST', { connection_id: connection.id, limit: 100, ...(cursor && { cursor }) }, owner);
        found += page.items.filter((row) => row.method === 'tools/call').length;
        if (!(cursor = page.next_cursor)) break;
    }
    assert.ok(found >= answered, `${found} rows for ${answered} answers`);
    await own.end();
});

test('what is queued is written when the program stops', async () => {
    const own = await startTulle();
    const owner = await own.makeOrg('queued');
    const connection = await own.connect(owner, { name: 'c', url: server.url });
    await Promise.all(Array.from({ length: 20 }, () => rpc(connection.mcp, 'tools/call', { name: 'echo', arguments: { text: 'x' } }, owner)));
    await own.stop();
    await own.serve();
    const { items } = await own.use('CONNECTION_CALLS_LIST', { connection_id: connection.id, limit: 100 }, owner);
    assert.equal(items.filter((row) => row.method === 'tools/call').length, 20);
    await own.end();
});
