// What a client sees of a server that a person has yet to connect by OAuth.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { connectV1, connectV2, textOf } from './lib/clients.mjs';
import { connectBy } from './lib/downstream.mjs';
import { rpc } from './lib/http.mjs';
import { makeOwner, makePerson, signedIn } from './lib/oauth.mjs';
import { startOAuthRaw, startOAuthReal } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, org, raw, real, person, browser;
before(async () => {
    [tulle, raw, real] = await Promise.all([startTulle(), startOAuthRaw(), startOAuthReal()]);
    org = await makeOwner(tulle, 'acme');
    person = await makePerson(tulle, 'ann@acme.example');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: person.email, role: 'member' }, org);
    person.key = await tulle.makeKey('acme', person.email);
    browser = await signedIn(tulle, org);
});
after(() => tulle?.end());

let count = 0;
/** A fresh connection to the hand-written server. */
const guarded = (fields = {}) => tulle.connect(org, { name: `Guarded ${++count}`, url: raw.url, auth: 'oauth', ...fields });

test('a client that can open addresses is asked to: -32042 for sessions, input_required for stateless ones', async () => {
    const connection = await guarded({ credential_scope: 'user' });
    const meta = (capabilities) => ({ _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientInfo': { name: 't', version: '1' }, 'io.modelcontextprotocol/clientCapabilities': capabilities } });
    const modern = (capabilities, more = {}) => rpc(connection.mcp, 'tools/call', { name: 'whoami', arguments: {}, ...meta(capabilities), ...more },
        { key: person.key, headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'whoami' } });
    const asked = (await modern({ elicitation: { url: {} } })).body.result;
    assert.equal(asked.resultType, 'input_required');
    const { method, params } = asked.inputRequests['tulle-connect'];
    assert.deepEqual([method, params.mode], ['elicitation/create', 'url']);
    assert.equal(new URL(params.url).pathname, `/oauth/connect/${connection.id}`);
    const answered = { inputResponses: { 'tulle-connect': { action: 'accept' } } };
    const early = (await modern({ elicitation: { url: {} } }, answered)).body.result;
    assert.deepEqual([early.isError, early.resultType], [true, 'complete'], 'not asked for ever');
    const cannotOpen = (await modern({})).body.result;
    assert.deepEqual([cannotOpen.isError, cannotOpen.resultType], [true, 'complete']);
    await connectBy(await signedIn(tulle, person), connection, org);
    const done = (await modern({ elicitation: { url: {} } }, answered)).body;
    assert.ok(done.result && !done.result.isError, JSON.stringify(done));
});

test('a session client at the hub is asked by -32042', async () => {
    const connection = await guarded({ credential_scope: 'user', slug: 'asked' });
    const ann = await signedIn(tulle, person);
    await connectBy(ann, connection, org);
    const hub = `${tulle.url}/mcp/hub`;
    const headers = { 'mcp-protocol-version': '2025-11-25' };
    const opened = await rpc(hub, 'initialize', { protocolVersion: '2025-11-25', capabilities: { elicitation: { url: {} } }, clientInfo: { name: 't', version: '1' } }, { key: person.key });
    headers['mcp-session-id'] = opened.headers['mcp-session-id'];
    await rpc(hub, 'tools/list', {}, { key: person.key, headers });
    await tulle.use('CONNECTION_CREDENTIAL_DELETE', { connection_id: connection.id }, person);
    const { body, status } = await rpc(hub, 'tools/call', { name: 'asked__whoami', arguments: {} }, { key: person.key, headers });
    assert.deepEqual([status, body.error?.code], [200, -32042], JSON.stringify(body));
    const [elicitation] = body.error.data.elicitations;
    assert.deepEqual([elicitation.mode, new URL(elicitation.url).pathname], ['url', `/oauth/connect/${connection.id}`]);
    assert.ok(elicitation.elicitationId);
});

test('[258] the server\'s 401 is never the client\'s', async () => {
    const connection = await guarded();
    for (const method of ['tools/list', 'prompts/list', 'resources/list']) {
        const { status, headers, body } = await rpc(connection.mcp, method, {}, { key: org.key });
        assert.deepEqual([status, headers['www-authenticate'], body.error.code], [200, undefined, -32603], method);
        assert.match(body.error.data.connectUrl, /\/oauth\/connect\//);
    }
});
test('before authorization a session client connects, sees the tools that are known, and its calls say where to authorize', async () => {
    const connection = await guarded({ credential_scope: 'user' });
    await connectBy(browser, connection, org);
    await rpc(connection.mcp, 'tools/list', {}, { key: org.key }); // the administrator's: what others see until they have authorized
    const fresh = await makePerson(tulle, `fresh${count}@acme.example`);
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: fresh.email, role: 'member' }, org);
    fresh.key = await tulle.makeKey('acme', fresh.email);
    const client = await connectV1(connection.mcp, fresh.key);
    try {
        assert.match(client.getInstructions(), new RegExp(`/oauth/connect/${connection.id}`));
        assert.deepEqual((await client.listTools()).tools.map(({ name }) => name).sort(), ['whoami', 'write']);
        await client.ping();
        const refused = await client.callTool({ name: 'whoami', arguments: {} });
        assert.equal(refused.isError, true);
        assert.match(textOf(refused), new RegExp(`you have not connected this server yet: open .*/oauth/connect/${connection.id}`));
        const listed = (await rpc(connection.mcp, 'tools/list', {}, { key: fresh.key })).body.result.tools;
        assert.equal(listed.length, 2);
        await connectBy(await signedIn(tulle, fresh), connection, org);
        const done = await client.callTool({ name: 'whoami', arguments: {} });
        assert.ok(!done.isError, textOf(done));
        assert.equal((await client.listTools()).tools.length, 2);
        await client.ping();
    } finally {
        await client.close();
    }
});

test('the same at a real session server on the official SDK', async () => {
    const connection = await tulle.connect(org, { name: 'Real for each', url: real.url, auth: 'oauth', credential_scope: 'user' });
    const client = await connectV1(connection.mcp, person.key);
    try {
        assert.match(textOf(await client.callTool({ name: 'whoami', arguments: {} })), /\/oauth\/connect\//);
        await connectBy(await signedIn(tulle, person), connection, org);
        const done = await client.callTool({ name: 'whoami', arguments: {} });
        assert.match(textOf(done), /authorization/);
    } finally {
        await client.close();
    }
});

test('a stateless client connects before authorization too, and hears where to authorize; so it does when the token is refused', async () => {
    const connection = await guarded({ credential_scope: 'user' });
    const greeted = async () => {
        const client = await connectV2(connection.mcp, person.key);
        const answer = await client.callTool({ name: 'whoami', arguments: {} });
        const says = client.getInstructions();
        await client.close();
        return { says, answer };
    };
    for (const prepare of [() => {}, async () => {
        await connectBy(await signedIn(tulle, person), connection, org);
        await raw.plan({ refuseAll: true });
    }]) {
        await prepare();
        const { says, answer } = await greeted();
        assert.match(says, new RegExp(`/oauth/connect/${connection.id}`));
        assert.equal(answer.isError, true);
        assert.match(textOf(answer), /oauth\/connect/);
    }
    await raw.plan({});
});
