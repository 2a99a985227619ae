// Planted secrets are looked for everywhere: logs at debug level, audit stream, metrics, answers, and the files of the database.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { startRaw } from './lib/servers.mjs';
import { prepareTulle } from './lib/tulle.mjs';
import { assertNoSecrets, plant } from './lib/secrets.mjs';
import { rpc, send } from './lib/http.mjs';

let tulle, org, raw;
before(async () => {
    [tulle, raw] = await Promise.all([prepareTulle(), startRaw()]);
    Object.assign(tulle.env, { LOG_LEVEL: 'debug', AUDIT_STREAM: `file:${join(tulle.dataDir, 'audit.jsonl')}`, METRICS_TOKEN: plant('metrics token') });
    await tulle.serve();
    org = await tulle.makeOrg('acme');
});
after(() => tulle?.end());

test('secrets in use, in bad requests and in failures', async () => {
    const kinds = [{ bearer: plant('bearer') }, { headers: { 'X-Api-Key': plant('header') } }, { query: { key: plant('query') } }];
    for (const [i, credential] of kinds.entries()) {
        const connection = await tulle.connect(org, { name: `c${i}`, url: raw.url, credential });
        assert.ok((await tulle.callTool(connection, 'echo', { text: 'x' }, org)).body.result);
        await tulle.use('CONNECTION_TEST', { connection_id: connection.id }, org);
        for (const fault of ['reset', 'invalid_json', 'end_sse']) await tulle.callTool(connection, fault, {}, org);
        await tulle.callTool(connection, 'redirect', { to: 'http://127.0.0.1:1/' }, org);
        await tulle.callTool(connection, 'status', { status: 401 }, org);
        await tulle.use('CONNECTION_UPDATE', { connection_id: connection.id, url: 'http://127.0.0.1:9/mcp' }, org);
        await tulle.callTool(connection, 'echo', { text: 'down' }, org);
    }
    // Wrong input that carries secrets: the error names the field, the log does not repeat the value.
    const { id } = await tulle.connect(org, { name: 'wrong', url: raw.url });
    await tulle.tool('CONNECTION_CREDENTIAL_SET', { connection_id: id, bearer: [plant('bearer in a list')] }, org);
    await tulle.tool('CONNECTION_CREDENTIAL_SET', { connection_id: id, headers: { 'Bad Header': plant('bad header') } }, org);
    await tulle.tool('CONNECTION_CREATE', { name: 'x', url: `http://user:${plant('url password')}@127.0.0.1:1/mcp` }, org);
    await send(`${tulle.url}/mcp`, { key: `tulle_key_${plant('forged key')}`, body: { jsonrpc: '2.0', id: 1, method: 'tools/list' } });
    await send(`${tulle.url}/mcp?access_token=${plant('token in query')}`, { body: { jsonrpc: '2.0', id: 1, method: 'tools/list' } });
    await send(`${tulle.url}/mcp`, { key: org.key, body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"x":"${plant('truncated body')}` });
    await rpc(`${tulle.url}/mcp`, 'tools/list', {}, { key: org.key, headers: { cookie: `a=${plant('cookie')}`, 'mcp-session-id': plant('session') } });
});

test('the logs at debug level show none of them', () => {
    assert.ok(tulle.logs().length > 10);
    assertNoSecrets(tulle.child.err + tulle.child.out, 'the log');
});

test('metrics, audit stream and lists show none of them', async () => {
    assertNoSecrets((await send(`${tulle.url}/metrics`, { method: 'GET', key: tulle.env.METRICS_TOKEN })).text, 'the metrics');
    for (const name of ['CONNECTION_LIST', 'ORGANIZATION_AUDIT_LIST', 'API_KEY_LIST'])
        assertNoSecrets((await tulle.tool(name, { limit: 100 }, org)).text, name);
});

test('no file of the data directory holds one in the clear', async () => {
    await tulle.stop();
    const files = readdirSync(tulle.dataDir, { recursive: true }).map((name) => join(tulle.dataDir, name)).filter((path) => statSync(path).isFile());
    assert.ok(files.some((path) => path.endsWith('.db')));
    for (const path of files) assertNoSecrets(readFileSync(path, 'latin1'), path);
});

test('the process shows no key in its arguments or its directory to others', () => {
    for (const name of readdirSync(tulle.dataDir).filter((one) => /\.db|key/.test(one)))
        assert.equal(statSync(join(tulle.dataDir, name)).mode & 0o077, 0, `${name} is readable by others`);
});
