// Programs that end, flood, fall silent, speak nonsense or will not die: each a clear error, nothing left behind.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { e2ePath, until } from './lib/children.mjs';
import { connectV1, textOf } from './lib/clients.mjs';
import { rpc, send } from './lib/http.mjs';
import { childrenOf, descriptors, marked } from './lib/processes.mjs';
import { guard } from './lib/secrets.mjs';
import { startTulle } from './lib/tulle.mjs';

const mark = `hostile-test-${process.pid}`;
const secret = guard('raw-secret-0123456789abcdef', 'environment of a stdio server');
let tulle, org, good;

const raw = (name, mode, more = {}) => ({
    name, command: process.execPath, args: [e2ePath('servers/stdio_raw.mjs'), `${mark}-${name}`, ...(mode ? [mode] : [])], ...more,
});
const connect = (name, mode, more) => tulle.connect(org, raw(name, mode, more));
const call = (name, args = {}, connection = good) => tulle.callTool(connection, name, args, { key: org.key });
const textIn = ({ body }) => body.result.content[0].text;
const metric = async (name) => Number((await tulle.metrics()).match(new RegExp(`^${name} (\\d+)$`, 'm'))[1]);
const logged = (event, connection) => tulle.logs().filter((line) => line.event === event && line.connection_id === connection.id);

before(async () => {
    tulle = await startTulle();
    org = await tulle.makeOrg('acme');
    good = await connect('good', undefined, { env: { RAW_SECRET: secret } });
});
after(async () => {
    await tulle?.end();
    assert.deepEqual(marked(mark), [], 'a program outlived Tulle');
});

/** The failure of a call, in-band. */
async function failure(name, args, connection) {
    const { body } = await call(name, args, connection);
    assert.ok(body.error, JSON.stringify(body));
    return body.error.message;
}

test('a program that ends at once is said to end, and is not started again and again', async () => {
    const connection = await connect('dies', 'dies');
    const test = await tulle.use('CONNECTION_TEST', { connection_id: connection.id }, org);
    assert.equal(test.ok, false);
    assert.match(test.steps.at(-1).detail, /ended \(exit code 7\)/);
    const before = await metric('tulle_process_starts_total');
    const messages = [];
    for (let i = 0; i < 20; i++) messages.push(await failure('echo', {}, connection));
    assert.match(messages.at(-1), /failed \d+ times in a row .*exit code 7.*again in \d+ s/);
    assert.ok(await metric('tulle_process_starts_total') - before < 20, 'the pauses grow');
});

test('a program that does not exist is said to be missing', async () => {
    const connection = await tulle.connect(org, { name: 'missing', command: 'no-such-program-anywhere' });
    const test = await tulle.use('CONNECTION_TEST', { connection_id: connection.id }, org);
    assert.equal(test.ok, false);
    assert.match(test.steps.at(-1).detail, /cannot be started: No such file/);
});

test('one that ends at the first message of the new era is served on a fresh process', async () => {
    const connection = await connect('strict', 'strict');
    assert.equal(textIn(await call('echo', { text: 'served' }, connection)), 'served');
    assert.equal((await tulle.use('CONNECTION_TEST', { connection_id: connection.id }, org)).era, 'session');
});

test('a process that ends in a call fails that call at once, and the session after it', async () => {
    for (const [tool, why] of [['exit', /ended \(exit code 3\)/], ['crash', /signal SEGV/]]) {
        const client = await connectV1(good.mcp, org.key);
        const waiting = client.callTool({ name: 'silent', arguments: {} }).catch((error) => error);
        await assert.rejects(client.callTool({ name: tool, arguments: {} }), why);
        assert.match((await waiting).message, why);
        const gone = await rpc(good.mcp, 'ping', {}, { key: org.key, headers: { 'mcp-session-id': client.transport.sessionId } });
        assert.ok(gone.status === 404 || gone.body.result, `the session begins anew or is said to be gone: ${gone.text}`);
        await client.close();
    }
    assert.equal(textIn(await call('echo', { text: 'alive' })), 'alive');
});

test('nonsense where an answer was due fails the call; other nonsense is passed over', async () => {
    const alone = await connectV1(good.mcp, org.key);
    const run = (name, args = {}) => alone.callTool({ name, arguments: args });
    await assert.rejects(run('invalid'), /not valid JSON-RPC/);
    await assert.rejects(run('wrong_id'), /a request that was not asked/);
    await assert.rejects(run('null_id'), /a request that was not asked/);
    assert.equal(textOf(await run('twice')), 'first');
    assert.equal(textOf(await run('noise')), 'after the noise');
    assert.equal(textOf(await run('pieces')), 'søster in pieces');
    assert.equal(textOf(await run('echo', { text: 'still here' })), 'still here');
    await alone.transport.terminateSession();
    await alone.close();
});

test('a large answer passes, one beyond the maximum ends the process', async () => {
    assert.equal(textIn(await call('huge', { bytes: 4_000_000 })).length, 4_000_000);
    assert.match(await failure('huge', { bytes: 9_000_000 }), /longer than 8388608 bytes/);
    assert.equal(textIn(await call('echo', { text: 'anew' })), 'anew');
});

test('a flood of messages before an answer passes in bounded memory', async () => {
    const client = await connectV1(good.mcp, org.key);
    assert.equal(textOf(await client.callTool({ name: 'flood', arguments: { lines: 20_000 } })), 'flooded');
    await client.transport.terminateSession();
    await client.close();
    const resident = Number((await tulle.metrics()).match(/^process_resident_memory_bytes (\d+)$/m)[1]);
    assert.ok(resident < 600_000_000, `${resident} bytes`); // sanitizers take a multiple
});

test('one that stops reading is told apart from one that works', async () => {
    const client = await connectV1(good.mcp, org.key);
    const session = { 'mcp-session-id': client.transport.sessionId, accept: 'application/json, text/event-stream' };
    const headers = { ...session, 'mcp-protocol-version': '2025-11-25' };
    await client.callTool({ name: 'deaf', arguments: {} });
    const text = 'x'.repeat(3_000_000);
    const notify = () => send(good.mcp, { key: org.key, headers, body: { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 'p', progress: 1, message: text } } });
    const statuses = [];
    for (let i = 0; i < 8; i++) statuses.push(await notify());
    assert.equal(statuses[0].status, 202);
    assert.equal(statuses.at(-1).status, 503);
    assert.match(statuses.at(-1).text, /does not read its input/);
    assert.equal(textIn(await call('echo', { text: 'others are served' })), 'others are served');
    await client.transport.terminateSession();
    await client.close();
});

test('stderr is logged line by line, without its secrets and within limits', async () => {
    const noisy = await connect('noisy', undefined, { env: { RAW_SECRET: secret } });
    await call('stderr', { lines: 1000 }, noisy);
    const lines = () => logged('process_stderr', noisy);
    await until('the log has them', () => lines().length >= 100);
    assert.ok(lines()[0].line.includes('log 0'), lines()[0].line);
    assert.ok(lines().every(({ line }) => !line.includes(secret)));
    await tulle.use('CONNECTION_DISABLE', { connection_id: noisy.id }, org);
    await until('what was dropped is counted', () => logged('process_noise', noisy).some((line) => line.dropped_lines === 900));
    assert.equal(lines().length, 100);
});

test('what a program leaves behind ends with it', async () => {
    const connection = await connect('leaves');
    await call('grandchild', {}, connection);
    await until('it has left a child', () => marked(`${mark}-leaves-grandchild`).length > 0);
    await tulle.use('CONNECTION_DISABLE', { connection_id: connection.id }, org);
    await until('nothing of it is left', () => marked(`${mark}-leaves`).length === 0);
});

test('one that will not die is killed, with its children', async () => {
    const connection = await connect('stubborn', 'stubborn');
    assert.equal(textIn(await call('echo', { text: 'hm' }, connection)), 'hm');
    assert.ok(marked(`${mark}-stubborn`).length >= 2);
    await tulle.use('CONNECTION_DISABLE', { connection_id: connection.id }, org);
    await until('nothing of it is left', () => marked(`${mark}-stubborn`).length === 0, 30_000);
});

test('a caller has so many processes and not more: the longest idle one gives way, busy ones do not', async () => {
    const connection = await connect('capped');
    const clients = [];
    for (let i = 0; i < 16; i++) {
        const client = await connectV1(connection.mcp, org.key);
        client.pid = Number(textOf(await client.callTool({ name: 'pid', arguments: {} })));
        clients.push(client);
    }
    // Each listens on GET, so none is idle; the listening may still be on its way.
    await assert.rejects(until('the next one is refused', async () => {
        const one = await connectV1(connection.mcp, org.key);
        await one.transport.terminateSession();
        await one.close();
    }), /too many processes of this server are busy \(yours\)/);
    await clients[5].close(); // leaves without ending its session
    await until('its place is taken', () => connectV1(connection.mcp, org.key).then((client) => clients.push(client), () => false));
    await until('its process ends', () => !marked(`${mark}-capped`).includes(clients[5].pid));
    await Promise.allSettled(clients.map((client) => client.close()));
    await tulle.use('CONNECTION_DISABLE', { connection_id: connection.id }, org);
    await until('all have ended', () => marked(`${mark}-capped`).length === 0, 30_000);
});

test('nothing is left over: processes, zombies, descriptors', async () => {
    for (const { id } of (await tulle.use('CONNECTION_LIST', {}, org)).items) await tulle.use('CONNECTION_DISABLE', { connection_id: id }, org);
    await until('no process of a server runs', async () => await metric('tulle_channels') === 0, 30_000);
    await until('and none is left as a zombie', () => childrenOf(tulle.child.pid).length === 0, 30_000);
    await until('no descriptor of theirs is open', () => descriptors(tulle.child.pid) < 60, 30_000);
});

test('kill -9 of Tulle leaves no program behind, not even one that will not die', async () => {
    const own = await startTulle();
    const owner = await own.makeOrg('doomed');
    const killed = `${mark}-killed`;
    for (const mode of ['stubborn', undefined]) {
        const connection = await own.connect(owner, raw(`killed-${mode}`, mode));
        await own.callTool(connection, 'grandchild', {}, { key: owner.key });
    }
    await until('programs and grandchildren run', () => marked(killed).length >= 6);
    await own.kill9();
    await until('all have ended', () => marked(killed).length === 0, 30_000);
});

test('an installation that does not allow programs neither registers nor runs any', async () => {
    const before = await startTulle();
    const owner = await before.makeOrg('acme');
    const connection = await before.connect(owner, raw('forbidden'));
    await before.stop();
    const strict = await startTulle({ dataDir: before.dataDir, env: { ALLOW_STDIO: '0' } });
    assert.match((await strict.refuse('CONNECTION_CREATE', raw('another'), owner, 422)).message, /ALLOW_STDIO/);
    const { body } = await rpc(`${strict.url}/mcp/${connection.id}`, 'tools/list', {}, { key: owner.key });
    assert.match(body.error.message, /not allowed/);
    const test = await strict.use('CONNECTION_TEST', { connection_id: connection.id }, owner);
    assert.equal(test.ok, false);
    assert.deepEqual(marked(`${mark}-forbidden`), []);
    await strict.end();
});
