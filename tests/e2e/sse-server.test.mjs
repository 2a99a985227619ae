// Servers of the first transport, HTTP+SSE of 2024-11-05: named so, or found out by themselves; good ones and bad ones.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { until } from './lib/children.mjs';
import { connectV1, connectV2, textOf } from './lib/clients.mjs';
import { rpc } from './lib/http.mjs';
import { guard } from './lib/secrets.mjs';
import { startEverything, startSseRaw } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, org, everything, raw;
before(async () => {
    [tulle, everything, raw] = await Promise.all([startTulle(), startEverything({ isSse: true }), startSseRaw()]);
    org = await tulle.makeOrg('acme');
});
after(() => tulle?.end());

const connect = (name, url, transport, more) => tulle.connect(org, { name, url, ...(transport && { transport }), ...more });
const call = (connection, name, args = {}) => tulle.callTool(connection, name, args, { key: org.key });
const textIn = ({ body }) => body.result.content[0].text;

async function leave(client) {
    await client.transport.terminateSession();
    await client.close();
}

for (const transport of ['sse', 'auto']) {
    test(`the reference server works over HTTP+SSE (transport ${transport})`, async () => {
        const connection = await connect(`everything ${transport}`, everything.url, transport);
        const test = await tulle.use('CONNECTION_TEST', { connection_id: connection.id }, org);
        assert.deepEqual([test.ok, test.era, test.tool_count > 5], [true, 'session', true], JSON.stringify(test));
        const client = await connectV1(connection.mcp, org.key);
        assert.ok((await client.listTools()).tools.some((tool) => tool.name === 'get-sum'));
        assert.match(textOf(await client.callTool({ name: 'get-sum', arguments: { a: 2, b: 3 } })), /5/);
        const steps = [];
        await client.callTool({ name: 'trigger-long-running-operation', arguments: { duration: 0.3, steps: 3 } }, undefined,
            { onprogress: (progress) => steps.push(progress.progress) });
        assert.deepEqual(steps, [1, 2, 3]);
        await leave(client);
        for (const mode of ['modern', 'auto', 'legacy']) {
            const newer = await connectV2(connection.mcp, org.key, { mode });
            assert.match(textOf(await newer.callTool({ name: 'get-sum', arguments: { a: 20, b: 3 } })), /23/);
            await newer.close();
        }
    });
}

test('a server that asks is answered, also one that holds the POST until its work is done', async () => {
    for (const mode of ['', 'held']) {
        const connection = await connect(`asks ${mode}`, raw.at(mode), 'sse');
        const client = new Client({ name: 'asked', version: '1' }, { capabilities: { sampling: {} } });
        client.setRequestHandler(CreateMessageRequestSchema, () => ({ model: 'm', role: 'assistant', content: { type: 'text', text: 'sampled' } }));
        await client.connect(new StreamableHTTPClientTransport(new URL(connection.mcp), { requestInit: { headers: { authorization: `Bearer ${org.key}` } } }));
        const answer = JSON.parse(textOf(await client.callTool({ name: 'sampling', arguments: {} })));
        assert.equal(answer.content.text, 'sampled');
        assert.equal(textOf(await client.callTool({ name: 'ping', arguments: {} })), '{}');
        const steps = [];
        await client.callTool({ name: 'progress', arguments: {} }, undefined, { onprogress: (progress) => steps.push(progress.progress) });
        assert.deepEqual(steps, [1, 2, 3]);
        await leave(client);
    }
});

test('the credential goes to the stream and to every message', async () => {
    const token = guard('sse-bearer-0123456789', 'bearer of an HTTP+SSE server');
    const connection = await connect('bearer', raw.at(''), 'sse', { credential: { bearer: token } });
    const answer = await call(connection, 'auth');
    assert.equal(textIn(answer), `Bearer ${token}`);
});

test('the end of a session closes its stream', async () => {
    const connection = await connect('closing', raw.at(''), 'sse');
    const before = (await raw.seen()).open;
    const clients = await Promise.all(Array.from({ length: 10 }, () => connectV1(connection.mcp, org.key)));
    assert.equal((await raw.seen()).open, before + 10);
    await Promise.all(clients.map(leave));
    await until('all streams are closed', async () => (await raw.seen()).open === before);
});

test('a hundred calls at once with the same id get their own answers', async () => {
    const connection = await connect('hundred', raw.at(''), 'sse');
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) =>
        rpc(connection.mcp, 'tools/call', { name: 'echo', arguments: { text: `mine ${i}` } }, { key: org.key, id: 7 })));
    answers.forEach(({ body }, i) => assert.deepEqual([body.id, body.result.content[0].text], [7, `mine ${i}`]));
});

test('an endpoint at another origin is refused: the credential would go there', async () => {
    const connection = await connect('foreign', raw.at('foreign'), 'sse', { credential: { bearer: guard('sse-foreign-0123456789', 'bearer') } });
    const test = await tulle.use('CONNECTION_TEST', { connection_id: connection.id }, org);
    assert.equal(test.ok, false);
    assert.match(test.steps.at(-1).detail, /another origin/);
});

test('no endpoint, no stream, nobody there: each is said', async () => {
    for (const [mode, why] of [['silent', /./], ['plain', /no event stream/]]) {
        const connection = await connect(mode, raw.at(mode), 'sse');
        const test = await tulle.use('CONNECTION_TEST', { connection_id: connection.id }, org);
        assert.equal(test.ok, false);
        assert.equal(test.steps.at(-1).name, 'initialize');
        assert.match(test.steps.at(-1).detail, why);
    }
});

test('a message that is refused, and a stream that closes instead of answering, fail the call at once', async () => {
    const refusing = await connect('refusing', raw.at('refusing'), 'sse');
    assert.match((await call(refusing, 'echo')).body.error.message, /HTTP 500/);
    const late = await connect('late', raw.at('late'), 'sse');
    assert.match((await call(late, 'echo')).body.error.message, /closed its event stream/);
    const client = await connectV1(late.mcp, org.key);
    await assert.rejects(client.callTool({ name: 'echo', arguments: {} }), /closed its event stream/);
    const gone = await rpc(late.mcp, 'ping', {}, { key: org.key, headers: { 'mcp-session-id': client.transport.sessionId } });
    assert.ok(gone.status === 404 || gone.body.result, `the session begins anew or is said to be gone: ${gone.text}`);
    await client.close();
});
