// What is subscribed to, and what goes on as a task, through the hub: routed to the server that it belongs to.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { until } from './lib/children.mjs';
import { connectV1, connectV2, textOf } from './lib/clients.mjs';
import { open, rpc, send } from './lib/http.mjs';
import { startAsking, startMany } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, org, hub, many, asking, plain, later;
before(async () => {
    [tulle, many, asking, plain, later] = await Promise.all([
        startTulle(), startMany({ name: 'M', tools: ['one', 'later'], isRich: true }), startAsking(),
        startMany({ name: 'P' }), startMany({ name: 'L', tools: ['later'], isStateless: true, isRich: true })]);
    org = await tulle.makeOrg('acme');
    for (const [name, server] of Object.entries({ many, asking, plain, later })) await tulle.connect(org, { name, url: server.url });
    hub = `${tulle.url}/mcp/hub`;
});
after(() => tulle?.end());

async function sessionClient(address = hub, key = org.key) {
    const client = await connectV1(address, key);
    client.heard = [];
    client.fallbackNotificationHandler = async (message) => {
        if (message.method === 'notifications/resources/updated') client.heard.push(message.params.uri);
    };
    return client;
}
/** Says it until it is heard: the stream to the client may open later than the subscription. */
const heardAfter = (what, say, heard) => until(what, async () => {
    await say();
    return heard();
}, 60_000);
const refused = (code) => (error) => error.code === code;
const alone = async (name, slugs) => {
    const { items } = await tulle.use('CONNECTION_LIST', {}, org);
    const id = (slug) => items.find((one) => one.slug === slug).id;
    const { item } = await tulle.use('VIRTUAL_SERVER_CREATE', { name, connections: slugs.map((slug) => ({ connection_id: id(slug) })) }, org);
    return `${tulle.url}/mcp/${item.id}`;
};

test('a session client hears of resources of servers of both eras under their names here, and of no others', async () => {
    const client = await sessionClient();
    assert.equal(client.getServerCapabilities().resources.subscribe, true);
    await client.subscribeResource({ uri: 'note://many/host/one' });
    await client.subscribeResource({ uri: 'ask://asking/one' });
    await heardAfter('the session server\'s', async () => {
        await many.update('note://host/two');
        await many.update('note://host/one');
    }, () => client.heard.includes('note://many/host/one'));
    await heardAfter('the stateless server\'s', async () => {
        await asking.publish('updated', 'ask://two');
        await asking.publish('updated', 'ask://one');
    }, () => client.heard.includes('ask://asking/one'));
    assert.deepEqual([...new Set(client.heard)].sort(), ['ask://asking/one', 'note://many/host/one']);

    // A second one at each leaves the first ones standing; what is unsubscribed falls silent.
    await client.subscribeResource({ uri: 'note://many/host/two' });
    await client.subscribeResource({ uri: 'ask://asking/two' });
    await client.unsubscribeResource({ uri: 'note://many/host/one' });
    await client.unsubscribeResource({ uri: 'ask://asking/one' });
    client.heard = [];
    for (const say of [(name) => many.update(`note://host/${name}`), (name) => asking.publish('updated', `ask://${name}`)])
        await heardAfter('the second', async () => {
            await say('one');
            await say('two');
        }, () => client.heard.some((uri) => uri.endsWith('/two')) && (client.heard.length = 0, true));
    await until('the server was told', async () => JSON.stringify(await many.subscribed()) === '["note://host/two"]');

    // The end of the session is the end of what was opened for it.
    await client.transport.terminateSession();
    await client.close();
    await until('nothing is subscribed', async () => (await many.subscribed()).length === 0);
    await until('no listen stream for it', async () => (await asking.stats()).listens <= 1, 60_000); // the watch of lists may stay
});

test('a stateless client hears of them by subscriptions/listen', async () => {
    const client = await connectV2(hub, org.key);
    const heard = [];
    client.setNotificationHandler('notifications/resources/updated', (message) => void heard.push(message.params.uri));
    const subscription = await client.listen({ resourceSubscriptions: ['note://many/host/one', 'note://many/host/no', 'ask://asking/one', 'note://plain/host/one'] });
    assert.deepEqual(subscription.honoredFilter.resourceSubscriptions, ['note://many/host/one', 'ask://asking/one']);
    await heardAfter('the session server\'s', () => many.update('note://host/one'), () => heard.includes('note://many/host/one'));
    await heardAfter('the stateless server\'s', () => asking.publish('updated', 'ask://one'), () => heard.includes('ask://asking/one'));
    await subscription.close();
    await client.close();
    await until('nothing is subscribed', async () => (await many.subscribed()).length === 0);
});

test('resources that are subscribed to at the same moment are all heard of', async () => {
    const client = await sessionClient();
    const uris = ['ask://asking/one', 'ask://asking/two', 'note://many/host/one', 'note://many/host/two'];
    await Promise.all(uris.map((uri) => client.subscribeResource({ uri })));
    await heardAfter('all of them', async () => {
        for (const name of ['one', 'two']) {
            await many.update(`note://host/${name}`);
            await asking.publish('updated', `ask://${name}`);
        }
    }, () => uris.every((uri) => client.heard.includes(uri)));
    await client.transport.terminateSession();
    await client.close();
    await until('nothing is subscribed', async () => (await many.subscribed()).length === 0);
});

test('a client that leaves while its servers are asked leaves nothing subscribed', async () => {
    const before = readdirSync(`/proc/${tulle.child.pid}/fd`).length;
    await many.delay(-1);
    const body = { jsonrpc: '2.0', id: 1, method: 'subscriptions/listen', params: { _meta: modernMeta({}), notifications: { resourceSubscriptions: ['note://many/host/one', 'ask://asking/one'] } } };
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen' };
    for (let n = 0; n < 10; n++) {
        const asked = (await many.asked()).connections;
        const leaving = open(hub, { key: org.key, headers, body });
        leaving.catch(() => {});
        await until('the server is asked', async () => (await many.asked()).connections > asked);
        leaving.leave();
    }
    await many.delay(0);
    await until('descriptors are as before', () => readdirSync(`/proc/${tulle.child.pid}/fd`).length <= before + 4, 60_000);
    await until('nothing is subscribed', async () => (await many.subscribed()).length === 0);
});

const modernListen = (notifications, { key = org.key, capabilities = {}, id = 1, address = hub } = {}) => open(address, {
    key, headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen' },
    body: { jsonrpc: '2.0', id, method: 'subscriptions/listen', params: { _meta: modernMeta(capabilities), notifications } },
});

test('a server that does not answer keeps no other one waiting', async () => {
    const before = (await asking.stats()).listens;
    await many.delay(-1);
    try {
        const opening = modernListen({ resourceSubscriptions: ['note://many/host/one', 'ask://asking/one'] });
        await until('the silent one is asked', async () => (await many.asked()).held > 0, 60_000);
        await until('the other is asked', async () => (await asking.stats()).listens > before, 60_000);
        assert.ok((await many.asked()).held > 0, 'the silent one is asked no more');
        const stream = await opening;
        await until('the acknowledgement', () => stream.messages().length > 0, 60_000);
        assert.deepEqual(stream.messages()[0].params.notifications, { resourceSubscriptions: ['ask://asking/one'] });
        await heardAfter('the other\'s', () => asking.publish('updated', 'ask://one'), () => stream.messages().some((message) => message.params.uri === 'ask://asking/one'));
        stream.close();
    } finally {
        await many.delay(0);
    }
    await until('nothing is subscribed', async () => (await many.subscribed()).length === 0);
});

test('one principal has 64 of them open, and another one when one is closed', async () => {
    const key = await tulle.makeKey(org.slug, org.email);
    const streams = await Promise.all(Array.from({ length: 64 }, (_, id) => modernListen({ toolsListChanged: true }, { key, id })));
    assert.ok(streams.every((stream) => stream.status === 200));
    const over = await modernListen({ toolsListChanged: true }, { key, id: 'one too many' });
    assert.deepEqual([over.status, over.headers['retry-after']], [429, '1']);
    await over.done;
    const { id, error } = JSON.parse(over.text());
    assert.deepEqual([id, error.code, error.data.reason], ['one too many', -32603, 'rate_limited']);
    assert.match(error.message, /at most 64/);
    const other = await modernListen({ toolsListChanged: true }); // another principal's
    assert.equal(other.status, 200);
    other.close();
    streams.pop().close();
    await until('its place is free', async () => {
        const next = await modernListen({ toolsListChanged: true }, { key });
        if (next.status === 200) streams.push(next);
        else await next.done;
        return next.status === 200;
    }, 60_000);
    for (const stream of streams) stream.close();
});

test('what cannot be subscribed to is refused in time', async () => {
    const client = await sessionClient();
    await assert.rejects(client.subscribeResource({ uri: 'note://plain/host/one' }), refused(-32601)); // offers none
    await assert.rejects(client.subscribeResource({ uri: 'note://many/host/no' }), refused(-32602)); // refuses this one
    await assert.rejects(client.subscribeResource({ uri: 'note://nowhere/host/one' }), refused(-32602));
    await assert.rejects(client.subscribeResource({ uri: 'no uri' }), refused(-32602));
    await client.unsubscribeResource({ uri: 'note://many/host/never' });
    await client.close();
    const without = await sessionClient(await alone('no subscriptions', ['plain']));
    assert.equal(without.getServerCapabilities().resources.subscribe, undefined);
    assert.equal(without.getServerCapabilities().tasks, undefined);
    await without.close();
    const modern = await connectV2(hub, org.key);
    await assert.rejects(modern.listen({ resourceSubscriptions: ['note://nowhere/host/one'] }));
    await modern.close();
});

test('who may not read a resource any more hears no more of it', async () => {
    const address = await alone('watched', ['many']);
    const client = await sessionClient(address);
    await client.subscribeResource({ uri: 'note://many/host/one' });
    await client.subscribeResource({ uri: 'note://many/host/two' });
    await heardAfter('the update', () => many.update('note://host/one'), () => client.heard.length > 0);
    const { items } = await tulle.use('VIRTUAL_SERVER_LIST', {}, org);
    const { id, connections } = items.find((one) => one.name === 'watched');
    await tulle.use('VIRTUAL_SERVER_UPDATE', { virtual_server_id: id, connections: [{ connection_id: connections[0].connection_id, resources: ['note://host/two'] }] }, org);
    await until('it falls silent', async () => {
        client.heard = [];
        await many.update('note://host/one');
        await many.update('note://host/two');
        await until('the other', () => client.heard.includes('note://many/host/two'));
        return !client.heard.includes('note://many/host/one');
    }, 60_000);
    await client.transport.terminateSession();
    await client.close();
});

const modernMeta = (capabilities) => ({ 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': capabilities });
const modern = async (method, params, name) => (await rpc(hub, method, { _meta: modernMeta({ extensions: { 'io.modelcontextprotocol/tasks': {} } }), ...params },
    { key: org.key, headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': method, ...(name && { 'mcp-name': name }) } })).body;

test('a stateless server\'s task is asked for, updated and cancelled under an id of the hub\'s', async () => {
    const { result } = await modern('tools/call', { name: 'later__later', arguments: {} }, 'later__later');
    assert.equal(result.resultType, 'task');
    assert.notEqual(result.taskId, 'task of L');
    const got = (await modern('tasks/get', { taskId: result.taskId }, result.taskId)).result;
    assert.equal(got.taskId, result.taskId); // the one it was asked by
    assert.equal(got.result.content[0].text, 'L is done');
    assert.equal(got.result.content[1].uri, 'note://later/host/done');
    assert.doesNotMatch(JSON.stringify(got), /task of L/);
    assert.equal((await modern('tasks/update', { taskId: result.taskId, inputResponses: {} }, result.taskId)).result.resultType, 'complete');
    assert.equal((await modern('tasks/cancel', { taskId: result.taskId }, result.taskId)).result.resultType, 'complete');
    const endless = await modern('tools/call', { name: 'later__later', arguments: { id: 'x'.repeat(4000) } }, 'later__later');
    assert.ok(endless.error, 'no id that the hub can seal'); // an answer that is JSON, at least
    assert.ok((await modern('server/discover', {})).result.capabilities.extensions['io.modelcontextprotocol/tasks']);
});

const knowsTasks = { extensions: { 'io.modelcontextprotocol/tasks': {} } };

test('a stateless client hears of its tasks under the ids that it was given', async () => {
    const make = async () => (await modern('tools/call', { name: 'later__later', arguments: {} }, 'later__later')).result.taskId;
    const [taskId, same] = [await make(), await make()]; // of the server's one task
    const stream = await modernListen({ toolsListChanged: true, taskIds: [taskId, same] }, { capabilities: knowsTasks, id: 'L' });
    await until('the acknowledgement', () => stream.messages().length > 0);
    assert.deepEqual(stream.messages()[0].params.notifications, { toolsListChanged: true, taskIds: [taskId, same] });
    await later.taskIs('completed');
    const told = () => stream.messages().filter((message) => message.method === 'notifications/tasks');
    await until('it is told, by each of its ids', () => told().length >= 2);
    assert.deepEqual(told().map(({ params }) => params.taskId), [taskId, same]);
    const { params } = told()[0];
    assert.deepEqual(params._meta, { 'io.modelcontextprotocol/subscriptionId': 'L', kept: 1 });
    assert.deepEqual([params.status, params.result.content[1].uri], ['completed', 'note://later/host/done']);
    assert.doesNotMatch(stream.text(), /task of L|another task/);
    stream.close();
    await until('the server\'s stream is closed', async () => (await later.asked()).taskListens === 0);
});

test('tasks that are not the client\'s are not listened to', async () => {
    const { taskId } = (await modern('tools/call', { name: 'later__later', arguments: {} }, 'later__later')).result;
    const refusal = async (taskIds, options) => {
        const stream = await modernListen({ taskIds }, { capabilities: knowsTasks, ...options });
        if (stream.status === 200 && stream.headers['content-type'].startsWith('text/event-stream')) stream.close();
        await stream.done;
        return [stream.status, stream.messages()[0]?.error?.code];
    };
    assert.deepEqual(await refusal(['task of L']), [200, -32602]); // as tasks/get
    assert.deepEqual(await refusal([taskId, 7]), [200, -32602]);
    assert.deepEqual(await refusal({}), [200, -32602]);
    assert.deepEqual(await refusal([taskId], { key: await tulle.makeKey(org.slug, org.email) }), [200, -32602]);
    assert.deepEqual(await refusal([taskId], { address: await alone('elsewhere', ['later']) }), [200, -32602]);
    assert.deepEqual(await refusal(Array(257).fill(taskId)), [200, -32602]);
    assert.deepEqual(await refusal([taskId], { capabilities: {} }), [400, -32021]);
});

test('a task of a server that goes while it is asked is not heard of', async () => {
    const own = await startTulle({ env: { WORKERS: '1' } }); // who listens is looked after in one order
    try {
        const owner = await own.makeOrg('acme');
        const { id } = await own.connect(owner, { name: 'later', url: later.url });
        const address = `${own.url}/mcp/hub`;
        const { result } = (await rpc(address, 'tools/call', { _meta: modernMeta(knowsTasks), name: 'later__later', arguments: {} },
            { key: owner.key, headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'later__later' } })).body;
        await later.delay(null);
        const opening = modernListen({ taskIds: [result.taskId] }, { key: owner.key, capabilities: knowsTasks, address });
        await until('its server is asked', async () => (await later.asked()).held > 0);
        const other = await modernListen({ toolsListChanged: true }, { key: owner.key, address });
        await own.use('CONNECTION_DISABLE', { connection_id: id }, owner);
        await until('those who listen are looked at', () => other.messages().some((message) => message.method === 'notifications/tools/list_changed'));
        await later.delay(0);
        const stream = await opening;
        await until('the acknowledgement', () => stream.messages().length > 0);
        assert.deepEqual(stream.messages()[0].params.notifications, {});
        for (const one of [stream, other]) one.close();
    } finally {
        await later.delay(0);
        await own.end();
    }
});

test('a key that is deleted while its listen opens hears no more', async () => {
    const own = await startTulle({ env: { WORKERS: '1' } });
    const ends = (stream) => {
        let has = false;
        stream.done.then(() => (has = true));
        return until('the stream ends', () => has);
    };
    try {
        const owner = await own.makeOrg('acme');
        await own.connect(owner, { name: 'later', url: later.url });
        const address = `${own.url}/mcp/hub`;
        const { key, item } = await own.use('API_KEY_CREATE', { name: 'soon gone' }, owner);
        const { result } = (await rpc(address, 'tools/call', { _meta: modernMeta(knowsTasks), name: 'later__later', arguments: {} },
            { key, headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'later__later' } })).body;
        const witness = await modernListen({ promptsListChanged: true }, { key, address });
        await later.delay(null);
        const opening = modernListen({ taskIds: [result.taskId] }, { key, capabilities: knowsTasks, address });
        await until('its server is asked', async () => (await later.asked()).held > 0);
        await own.use('API_KEY_DELETE', { key_id: item.id }, owner);
        await ends(witness); // the change has been gone through
        await later.delay(0);
        await ends(await opening);
    } finally {
        await later.delay(0);
        await own.end();
    }
});

test('a session server\'s task likewise', async () => {
    const client = await sessionClient();
    const ask = async (method, params) => {
        const answer = await rpc(hub, method, params, { key: org.key, headers: { 'mcp-session-id': client.transport.sessionId } });
        return answer.body.result ?? answer.body.error;
    };
    assert.ok(client.getServerCapabilities().tasks.requests.tools.call);
    const { task } = await ask('tools/call', { name: 'many__later', arguments: {}, task: {} });
    assert.notEqual(task.taskId, 'task of M');
    assert.equal((await ask('tasks/get', { taskId: task.taskId })).status, 'completed');
    const result = await ask('tasks/result', { taskId: task.taskId });
    assert.equal(textOf(result), 'M is done');
    assert.equal(result.content[1].uri, 'note://many/host/done');
    assert.doesNotMatch(JSON.stringify(result), /task of M/);
    assert.equal((await ask('tasks/cancel', { taskId: task.taskId })).status, 'cancelled');
    // Forged, somebody else's, none; and what cannot be routed.
    assert.equal((await ask('tasks/get', { taskId: 'task of M' })).code, -32602);
    assert.equal((await ask('tasks/get', {})).code, -32602);
    const stranger = await tulle.makeKey(org.slug, org.email);
    assert.equal((await rpc(hub, 'tasks/get', { taskId: task.taskId }, { key: stranger })).body.error.code, -32602);
    assert.equal((await ask('tasks/list', {})).code, -32601);
    assert.equal((await ask('made/up', { name: 'many__later' })).code, -32601);
    await client.close();
});

test('what a server says of a task before it answers names it as the hub does', async () => {
    const start = await rpc(hub, 'initialize', { protocolVersion: '2025-11-25', capabilities: { elicitation: {} }, clientInfo: { name: 't', version: '1' } }, { key: org.key });
    const headers = { 'mcp-session-id': start.headers['mcp-session-id'] };
    const ask = (method, params) => rpc(hub, method, params, { key: org.key, headers });
    const called = await ask('tools/call', { name: 'many__later', arguments: { tells: true }, task: {} });
    const { taskId } = called.body.result.task;
    const idsOf = (messages) => messages.filter((one) => one.params).map(({ params }) => params.taskId ?? params._meta['io.modelcontextprotocol/related-task'].taskId);
    assert.deepEqual(idsOf(called.messages), [taskId, taskId]);
    assert.equal((await ask('tasks/get', { taskId })).body.result.taskId, taskId);

    const stream = await open(hub, { key: org.key, headers, body: { jsonrpc: '2.0', id: 1, method: 'tasks/result', params: { taskId } } });
    const question = () => stream.messages().find((one) => one.method === 'elicitation/create');
    await until('the question', () => question());
    assert.deepEqual(idsOf(stream.messages()), [taskId, taskId, taskId]);
    const _meta = question().params._meta;
    const { status } = await send(hub, { key: org.key, headers: { accept: 'application/json, text/event-stream', ...headers }, body: { jsonrpc: '2.0', id: question().id, result: { action: 'accept', content: {}, _meta } } });
    assert.equal(status, 202);
    await stream.done;
    const { result } = stream.messages().at(-1);
    assert.deepEqual([result.structuredContent, result._meta], [{ answered: true }, _meta]);
    assert.doesNotMatch(called.text + stream.text(), /task of M/);
});
