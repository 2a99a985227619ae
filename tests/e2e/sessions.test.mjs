// Sessions: two legs of different revisions, servers that forget, handles that must stay dead.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startLegs, startV1 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { connectV1, textOf } from './lib/clients.mjs';
import { rpc } from './lib/http.mjs';
import { openSession } from './lib/sessions.mjs';
import { until } from './lib/children.mjs';

let tulle, org, legs, v1, urls;
before(async () => {
    [tulle, legs, v1] = await Promise.all([startTulle({ env: { WORKERS: '2' } }), startLegs(), startV1()]);
    org = await tulle.makeOrg('acme');
    const connect = async (name, url) => (await tulle.connect(org, { name, url })).mcp;
    urls = {
        plain: await connect('plain', legs.url),
        'only-0618': await connect('only-0618', legs.at('version=2025-06-18')),
        'only-1125': await connect('only-1125', legs.at('version=2025-11-25')),
        keeps: await connect('keeps', legs.at('keeps')),
        v1: await connect('v1', v1.url),
    };
});
after(() => tulle?.end());

// ---- legs ----

test('client and server negotiate each with Tulle, whatever the other has', async () => {
    for (const [where, server] of [['only-0618', '2025-06-18'], ['only-1125', '2025-11-25']]) {
        for (const version of ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']) {
            const session = await openSession(urls[where], org.key, { version });
            assert.equal(session.result.protocolVersion, version, `${version} at ${server}`);
            assert.deepEqual((await session.call('ping')).body.result, {});
            assert.equal((await legs.seen()).initialize.at(-1).protocolVersion, version, 'the server is offered the same first');
        }
    }
});

test('a revision that nobody knows is answered with the latest session revision', async () => {
    for (const version of ['2026-07-28', '1999-01-01', '']) {
        const answer = await rpc(urls.plain, 'initialize', { protocolVersion: version, capabilities: {}, clientInfo: { name: 'x', version: '1' } }, { key: org.key });
        assert.equal(answer.status, 200, answer.text);
        assert.equal(answer.body.result.protocolVersion, '2025-11-25');
    }
});

test('the server hears of capabilities that client and revision have', async () => {
    const all = {
        roots: { listChanged: true }, sampling: { tools: {}, context: {} }, elicitation: { form: {}, url: {} }, tasks: { list: {} }, experimental: { x: {} },
    };
    const declared = async (version, capabilities = all) => {
        await openSession(urls.plain, org.key, { version, capabilities });
        return (await legs.seen()).initialize.at(-1).capabilities;
    };
    const old = { roots: { listChanged: true }, sampling: {}, experimental: { x: {} } };
    assert.deepEqual(await declared('2024-11-05'), old);
    assert.deepEqual(await declared('2025-03-26'), old);
    assert.deepEqual(await declared('2025-06-18'), { ...old, elicitation: {} });
    assert.deepEqual(await declared('2025-06-18', { elicitation: { url: {} } }), {}, 'that revision knows forms only');
    assert.deepEqual(await declared('2025-11-25'), all);
    assert.deepEqual(await declared('2025-11-25', {}), {});
});

test('capabilities of a revision that one leg does not have are not shown', async () => {
    assert.ok((await openSession(urls['only-1125'], org.key)).result.capabilities.tasks);
    assert.equal((await openSession(urls['only-1125'], org.key, { version: '2025-06-18' })).result.capabilities.tasks, undefined);
    assert.equal((await openSession(urls['only-0618'], org.key)).result.capabilities.tasks, undefined);
});

test('content of a type that the client\'s revision does not have becomes text', async () => {
    const media = async (version) => {
        const session = await openSession(urls.plain, org.key, { version });
        return (await session.call('tools/call', { name: 'media', arguments: {} })).body.result.content;
    };
    assert.deepEqual((await media('2025-11-25')).map((block) => block.type), ['text', 'audio', 'resource_link']);
    assert.deepEqual((await media('2025-03-26')).map((block) => block.type), ['text', 'audio', 'text']);
    const oldest = await media('2024-11-05');
    assert.deepEqual(oldest.map((block) => block.type), ['text', 'text', 'text']);
    assert.match(oldest[1].text, /audio\/wav/);
    assert.match(oldest[2].text, /legs:\/\/report/);
    const session = await openSession(urls.plain, org.key, { version: '2024-11-05' });
    assert.equal((await session.call('prompts/get', { name: 'p' })).body.result.messages[0].content.type, 'text');
});

test('a client that cannot be asked is not asked: the server hears -32601', async () => {
    const session = await openSession(urls.plain, org.key, { version: '2025-11-25', capabilities: {} });
    const answer = await session.call('tools/call', { name: 'ask', arguments: {} });
    assert.equal(JSON.parse(textOf(answer.body.result)).code, -32601);
    assert.ok(!answer.messages.some((message) => message.method === 'elicitation/create'));
    const able = await openSession(urls.plain, org.key, { capabilities: { elicitation: {} } });
    const call = await able.open({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'ask', arguments: {} } });
    await until('the question', () => call.text().includes('elicitation/create'));
    const question = call.messages().find((message) => message.method === 'elicitation/create');
    assert.equal((await able.post({ jsonrpc: '2.0', id: question.id, result: { action: 'decline' } })).status, 202);
    await call.done;
    assert.deepEqual(JSON.parse(textOf(call.messages().at(-1).result)), { action: 'decline' });
});

// ---- beginning, forgetting, ending ----

test('a stale session id does not keep a client from beginning', async () => {
    const first = await openSession(urls.plain, org.key);
    await first.end();
    for (const stale of [first.id, 'made-up']) {
        const again = await openSession(urls.plain, org.key, { headers: { 'mcp-session-id': stale } });
        assert.notEqual(again.id, stale);
        assert.equal((await again.call('ping')).status, 200);
    }
    assert.equal((await first.call('ping')).status, 404);
});

test('a server that forgot its session is given another one beneath the client\'s', async () => {
    const capabilities = { roots: {}, elicitation: {} };
    const session = await openSession(urls.plain, org.key, { capabilities });
    assert.equal((await session.call('logging/setLevel', { level: 'warning' })).status, 200);
    assert.equal((await session.call('resources/subscribe', { uri: 'legs://a' })).status, 200);
    assert.equal((await session.call('resources/subscribe', { uri: 'legs://b' })).status, 200);
    assert.equal((await session.call('resources/unsubscribe', { uri: 'legs://a' })).status, 200);
    await legs.reset();
    await legs.forget();
    const answer = await session.call('tools/call', { name: 'echo', arguments: { text: 'still here' } });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(textOf(answer.body.result), 'still here');
    const seen = await legs.seen();
    assert.deepEqual(seen.initialize.map((params) => params.capabilities), [capabilities], 'begun once, with what the client declared');
    assert.equal(seen.methods['notifications/initialized'], 1);
    assert.equal(seen.methods['logging/setLevel'], 1);
    assert.equal(seen.methods['resources/subscribe'], 1, 'what is still subscribed');
    assert.equal(seen.methods['tools/call'], 2, 'refused with 404, then sent once more');
    assert.equal((await session.call('ping')).status, 200);
    assert.equal((await legs.seen()).sessions, 1);
});

test('many calls at once in a forgotten session end up in one session', async () => {
    const session = await openSession(urls.plain, org.key);
    await legs.reset();
    await legs.forget();
    const answers = await Promise.all(Array.from({ length: 8 }, () => session.call('ping')));
    assert.deepEqual(answers.map((answer) => answer.status), Array(8).fill(200));
    await until('what was opened in vain is ended', async () => (await legs.seen()).alive === 1);
});

test('an SDK client does not notice that the server restarted', async () => {
    const client = await connectV1(urls.v1, org.key);
    await v1.forgetSessions();
    assert.equal(textOf(await client.callTool({ name: 'echo', arguments: { text: 'on' } })), 'on');
    await client.close();
});

test('after a restart of Tulle, a session that the server forgot is 404', async () => {
    const own = await startTulle();
    const team = await own.makeOrg('acme');
    const { mcp } = await own.connect(team, { name: 'legs', url: legs.url });
    const session = await openSession(mcp, team.key);
    await own.stop();
    await own.serve();
    assert.equal((await session.call('ping')).status, 200, 'the handle survives');
    await legs.forget();
    assert.equal((await session.call('ping')).status, 404, 'what the client declared does not');
    await own.end();
});

test('a deleted session is dead at once, at every worker, though the server keeps it', async () => {
    const session = await openSession(urls.keeps, org.key);
    const watcher = await openSession(urls.keeps, org.key);
    assert.equal((await session.end()).status, 204);
    const answers = await Promise.all(Array.from({ length: 16 }, () => session.call('ping')));
    assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [404]);
    assert.equal((await session.end()).status, 404);
    assert.equal((await watcher.call('ping')).status, 200, 'others live on');
});

test('what a deleted session was waiting for ends', async () => {
    const session = await openSession(urls.plain, org.key);
    const call = await session.open({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'held', arguments: {} } });
    await until('the call runs', () => call.text().includes('begun'));
    await session.end();
    await call.done;
    assert.ok(!call.text().includes('released'));
    await legs.release();
});
