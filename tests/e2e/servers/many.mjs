// A session server that offers what its environment says, for aggregates. PORT; prints "listening PORT".
//   MANY_NAME     its name in answers
//   MANY_TOOLS    JSON array of tool names, or a number: tool_001 ...
//   MANY_STATELESS=1  the revision 2026-07-28 and nothing else
//   MANY_RICH=1       resources can be subscribed to (not note://host/no), and the tool "later" runs as a task
// PUT /_update: the URI of a resource that changed. GET /_subscribed. PUT /_tools: another list (and a list_changed on every open stream). PUT /_delay: milliseconds before an answer; -1: none ever; null: when it is put again.
// PUT /_task: a status of the task, which who listens to it (a stateless client) hears. GET /_asked: methods that came; held: requests that get no answer, or wait for it.
import { createServer } from 'node:http';

const name = process.env.MANY_NAME ?? 'many';
const isStateless = process.env.MANY_STATELESS === '1';
const made = (given) => (typeof given === 'number' ? Array.from({ length: given }, (_, i) => `tool_${String(i + 1).padStart(3, '0')}`) : given);
let tools = made(JSON.parse(process.env.MANY_TOOLS ?? '["echo"]'));
let delay = 0;
let asked = {};
let held = 0;
const parked = [];
const waiting = new Map(); // id of a question -> what its answer does
const taskListens = new Map(); // response -> the subscription's id
const streams = new Set();
const isRich = process.env.MANY_RICH === '1';
const TASKS = 'io.modelcontextprotocol/tasks';
const capabilities = {
    tools: { listChanged: true }, resources: { ...(isRich && !isStateless && { subscribe: true }) }, prompts: {}, completions: {},
    ...(isRich && (isStateless ? { extensions: { [TASKS]: {} } } : { tasks: { requests: { tools: { call: {} } }, cancel: {} } })),
};
const subscribed = new Map(); // session -> Set of URIs
const task = (status, taskId = `task of ${name}`) => ({ taskId, status, createdAt: '2026-01-01T00:00:00Z', lastUpdatedAt: '2026-01-01T00:00:00Z', ttl: null, ttlMs: null });
const done = () => ({ content: [{ type: 'text', text: `${name} is done` }, { type: 'resource_link', uri: 'note://host/done', name: 'done' }] });
const unknownTask = { error: { code: -32602, message: 'no such task' } };
const ofTask = (params, make) => (params.taskId === task().taskId ? make() : unknownTask);
const taskMethods = {
    'tasks/get': (params) => ofTask(params, () => seal({ ...task('completed'), ...(isStateless && { result: done() }) })),
    'tasks/cancel': (params) => ofTask(params, () => seal(isStateless ? {} : task('cancelled'))),
    ...(isStateless
        ? { 'tasks/update': (params) => ofTask(params, () => seal({})) }
        : { 'tasks/result': (params, res, req, id) => ofTask(params, () => toldResult(res, id)) }),
};
const related = () => ({ 'io.modelcontextprotocol/related-task': { taskId: task().taskId } });
/** A stream that speaks of the task before anything else. */
function tell(res, id) {
    const say = (message) => res.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    say({ method: 'notifications/tasks/status', params: task('working') });
    say({ method: 'notifications/message', params: { level: 'error', data: 'at it', _meta: related() } });
    return { say, finish: (result) => res.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`) };
}
// Whoever can be asked is asked first; its answer is in the result.
let canAsk = false;
function toldResult(res, id) {
    const result = { ...done(), _meta: related() };
    if (!canAsk) return result;
    const { say, finish } = tell(res, id);
    say({ id: 'q', method: 'elicitation/create', params: { message: 'go on?', requestedSchema: { type: 'object', properties: {} }, _meta: related() } });
    waiting.set('q', (answer) => finish({ ...result, structuredContent: { answered: answer.result?._meta?.['io.modelcontextprotocol/related-task'].taskId === task().taskId } }));
    return undefined;
}
function laterResult(params, res, id) {
    if (params.arguments?.tells) return tell(res, id).finish({ task: task('working') });
    if (!isStateless) return params.task ? { task: task('working', params.arguments?.id) } : undefined;
    return params._meta['io.modelcontextprotocol/clientCapabilities'].extensions?.[TASKS] ? { resultType: 'task', ...task('working', params.arguments?.id) } : undefined;
}
function subscribe(params, res, req) {
    if (params.uri === 'note://host/no') return { error: { code: -32602, message: 'not that one' } };
    const session = req.headers['mcp-session-id'];
    subscribed.set(session, (subscribed.get(session) ?? new Set()).add(params.uri));
    return {};
}
// Of tasks only; whoever listens to anything else hears that it is not offered.
function listen(params, res, req, id) {
    const declares = params._meta['io.modelcontextprotocol/clientCapabilities'].extensions?.[TASKS];
    const taskIds = params.notifications.taskIds?.filter((one) => one === task().taskId);
    if (!taskIds) return { error: { code: -32601, message: 'not offered' } };
    if (!declares) return { error: { code: -32021, message: 'tasks are not declared' } };
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    const _meta = { 'io.modelcontextprotocol/subscriptionId': id };
    res.write(`data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged', params: { _meta, notifications: { taskIds } } })}\n\n`);
    taskListens.set(res, _meta);
    res.on('close', () => taskListens.delete(res));
    return undefined;
}
const richMethods = !isRich ? {} : {
    ...taskMethods,
    ...(isStateless && { 'subscriptions/listen': listen }),
    ...(!isStateless && {
        'resources/subscribe': subscribe,
        'resources/unsubscribe': (params, res, req) => (subscribed.get(req.headers['mcp-session-id'])?.delete(params.uri), {}),
    }),
};
const seal = (result, isList) => (isStateless ? { resultType: 'complete', ...(isList && { ttlMs: 0, cacheScope: 'private' }), ...result } : result);

const tool = (one) => ({
    name: one, description: `${one} of ${name}`, inputSchema: { type: 'object', properties: { text: { type: 'string' } } },
    _meta: { ui: { resourceUri: `ui://app/${encodeURIComponent(one)}.html` }, 'ui/resourceUri': 'ui://app/old.html', kept: 12345678901234567890n.toString() },
});
const methods = {
    initialize: (params, res) => {
        canAsk = params.capabilities.elicitation !== undefined;
        res.setHeader('mcp-session-id', `s-${Math.random().toString(36).slice(2)}`);
        return { protocolVersion: params.protocolVersion, capabilities, serverInfo: { name, version: '1' } };
    },
    'server/discover': () => ({ ...seal({}, true), supportedVersions: ['2026-07-28'], capabilities }),
    'tools/list': () => seal({ tools: tools.map(tool) }, true),
    'tools/call': (params, res, req, id) => (isRich && params.name === 'later' && laterResult(params, res, id)) || (tools.includes(params.name)
        ? seal({
            content: [
                { type: 'text', text: `${name}/${params.name}: ${params.arguments?.text ?? ''}` },
                { type: 'resource_link', uri: `note://host/${params.name}`, name: 'a note' },
                { type: 'resource', resource: { uri: 'ui://app/x.html', mimeType: 'text/html;profile=mcp-app', text: '<p>' } },
            ],
        })
        : { error: { code: -32602, message: `no tool ${params.name} at ${name}` } }),
    'prompts/list': () => seal({ prompts: [{ name: 'greet', description: `greet of ${name}`, arguments: [{ name: 'who' }] }] }, true),
    'prompts/get': (params) => seal({
        messages: [{ role: 'user', content: { type: 'text', text: `${name} greets ${params.arguments?.who}` } },
            { role: 'user', content: { type: 'resource_link', uri: 'note://host/p', name: 'p' } }],
    }),
    'resources/list': () => seal({ resources: [{ uri: 'note://host/one', name: 'one' }, { uri: 'ui://app/x.html', name: 'app' }] }, true),
    'resources/templates/list': () => seal({ resourceTemplates: [{ uriTemplate: 'note://host/{id}', name: 'note' }] }, true),
    'resources/read': (params) => seal({ contents: [{ uri: params.uri, text: `${name} has ${params.uri}` }] }, true),
    'completion/complete': (params) => seal({ completion: { values: [`${name}:${params.ref.name ?? params.ref.uri}`] } }),
    ping: () => ({}),
};

function answer(message, res) {
    asked[message.method] = (asked[message.method] ?? 0) + 1;
    const method = isStateless && message.method === 'initialize' ? undefined : methods[message.method] ?? richMethods[message.method];
    if (!isStateless && message.method === 'server/discover') {
        res.writeHead(400, { 'content-type': 'application/json' });
        return res.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, error: { code: -32000, message: 'no session' } }));
    }
    const result = method ? method(message.params ?? {}, res, res.req, message.id) : { error: { code: -32601, message: 'not offered' } };
    if (!result || result === res) return undefined; // it is a stream
    res.writeHead(200, { 'content-type': 'application/json' });
    return res.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, ...(result.error ? result : { result }) }));
}

function control(req, res, body) {
    if (req.method === 'GET') {
        res.writeHead(200, { 'content-type': 'application/json' });
        return res.end(JSON.stringify(req.url === '/_subscribed' ? [...subscribed.values()].flatMap((uris) => [...uris]) : { ...asked, held: held + parked.length, taskListens: taskListens.size }));
    }
    if (req.url === '/_delay') {
        delay = JSON.parse(body);
        for (const go of parked.splice(0)) go();
    }
    if (req.url === '/_tools') {
        tools = made(JSON.parse(body));
        for (const stream of streams) stream.write(`data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' })}\n\n`);
    }
    if (req.url === '/_update')
        for (const stream of streams)
            if (subscribed.get(stream.session)?.has(JSON.parse(body)))
                stream.write(`data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: JSON.parse(body) } })}\n\n`);
    if (req.url === '/_task')
        for (const [stream, _meta] of taskListens) {
            const params = { ...task(JSON.parse(body)), result: done(), _meta: { ..._meta, kept: 1 } };
            for (const taskId of [params.taskId, 'another task'])
                stream.write(`data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/tasks', params: { ...params, taskId } })}\n\n`);
        }
    if (req.method === 'DELETE') asked = {};
    return res.writeHead(204).end();
}

function handle(req, res, body) {
    if (req.url.startsWith('/_')) return control(req, res, body);
    if (req.method === 'GET' && !isStateless) {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.flushHeaders();
        res.session = req.headers['mcp-session-id'];
        streams.add(res);
        res.on('close', () => streams.delete(res));
        return undefined;
    }
    if (req.method !== 'POST') return res.writeHead(req.method === 'DELETE' ? 204 : 405).end();
    const message = JSON.parse(body);
    if (message.method === undefined) waiting.get(message.id)?.(message);
    if (message.id === undefined || message.method === undefined) return res.writeHead(202).end();
    asked.connections = (asked.connections ?? 0) + 1; // messages that came, answered or not
    if (delay < 0) {
        held++;
        res.on('close', () => held--);
        return undefined;
    }
    if (delay === null) return parked.push(() => answer(message, res));
    return setTimeout(() => answer(message, res), delay);
}

const listener = createServer((req, res) => {
    let body = '';
    req.setEncoding('utf8').on('data', (chunk) => (body += chunk)).on('end', () => handle(req, res, body));
    res.on('error', () => {});
});
listener.keepAliveTimeout = 60_000;
listener.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log(`listening ${listener.address().port}`));
