// A hand-written session server for what sessions go through. PORT in the environment; prints "listening PORT".
//   ?version=V       it answers initialize with that revision, whatever was asked
//   ?keeps           DELETE is answered 204 and the session lives on
// GET /_seen          {initialize: [params], methods: {NAME: count}, ended, sessions, answers}
// POST /_forget       all sessions are gone; POST /_release: calls of `held` go on; POST /_say: a log message on every GET stream
// Tools: echo; media (audio and a resource link); held (a log message, then waits for /_release); polled (closes its stream and
// answers on GET with Last-Event-ID); ask (asks for elicitation, and says what came back).
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';

const sessions = new Map(); // id -> {streams: Set, waiting: Map}
let seen;
let held = [];
const reset = () => (seen = { initialize: [], methods: {}, ended: 0, sessions: 0, answers: [], resumed: [] });
reset();

const text = (value) => ({ content: [{ type: 'text', text: value }] });
const event = (res, message, id) => res.write(`${id ? `id: ${id}\n` : ''}event: message\ndata: ${JSON.stringify(message)}\n\n`);
const json = (res, status, body, headers = {}) => res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
const stream = (res) => res.writeHead(200, { 'content-type': 'text/event-stream' });

const tools = {
    echo: (args) => text(args.text ?? ''),
    media: () => ({
        content: [
            { type: 'text', text: 'first' },
            { type: 'audio', data: 'AAAA', mimeType: 'audio/wav' },
            { type: 'resource_link', uri: 'legs://report', name: 'report' },
        ],
    }),
};
const streaming = {
    held(message, res) {
        stream(res);
        event(res, { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'begun' } });
        held.push(() => {
            event(res, { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'going on' } });
            event(res, { jsonrpc: '2.0', id: message.id, result: text(`released ${message.params.arguments?.text ?? ''}`) });
            res.end();
        });
    },
    polled(message, res, session) {
        stream(res);
        const id = `poll-${randomUUID()}`;
        session.waiting.set(id, { jsonrpc: '2.0', id: message.id, result: text('polled') });
        res.end(`retry: 100\nid: ${id}\ndata: \n\n`);
    },
    ask(message, res, session) {
        stream(res);
        session.asked = (answer) => {
            event(res, { jsonrpc: '2.0', id: message.id, result: text(JSON.stringify(answer)) });
            res.end();
        };
        event(res, { jsonrpc: '2.0', id: 'q1', method: 'elicitation/create', params: { message: 'name?', requestedSchema: { type: 'object', properties: {} } } });
    },
};

const methods = {
    'tools/list': () => ({ tools: [...Object.keys(tools), ...Object.keys(streaming)].map((name) => ({ name, inputSchema: { type: 'object' } })) }),
    'tools/call': (params) => tools[params.name](params.arguments ?? {}),
    'prompts/get': () => ({ messages: [{ role: 'user', content: { type: 'audio', data: 'AAAA', mimeType: 'audio/wav' } }] }),
    'resources/subscribe': () => ({}),
    'resources/unsubscribe': () => ({}),
    'logging/setLevel': () => ({}),
    ping: () => ({}),
};

function initialize(message, res, query) {
    const id = randomUUID();
    sessions.set(id, { streams: new Set(), waiting: new Map() });
    seen.sessions++;
    seen.initialize.push(message.params);
    const result = {
        protocolVersion: query.get('version') ?? message.params.protocolVersion,
        capabilities: { tools: {}, prompts: {}, resources: { subscribe: true }, logging: {}, tasks: { list: {} } },
        serverInfo: { name: 'legs', version: '1' },
    };
    json(res, 200, { jsonrpc: '2.0', id: message.id, result }, { 'mcp-session-id': id });
}

function post(message, req, res, query) {
    const name = message.method ?? 'response';
    seen.methods[name] = (seen.methods[name] ?? 0) + 1;
    if (name === 'initialize') return initialize(message, res, query);
    const session = sessions.get(req.headers['mcp-session-id']);
    if (!session) return json(res, 404, { jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } });
    if (name === 'response') {
        seen.answers.push(message);
        session.asked?.(message.result ?? message.error);
    }
    if (message.id === undefined || name === 'response') return res.writeHead(202).end();
    const run = name === 'tools/call' && streaming[message.params.name];
    if (run) return run(message, res, session);
    if (!methods[name]) return json(res, 200, { jsonrpc: '2.0', id: message.id, error: { code: -32601, message: 'Method not found' } });
    return json(res, 200, { jsonrpc: '2.0', id: message.id, result: methods[name](message.params ?? {}) });
}

function get(req, res) {
    const session = sessions.get(req.headers['mcp-session-id']);
    if (!session) return json(res, 404, { error: 'no session' });
    const last = req.headers['last-event-id'];
    if (last) seen.resumed.push(last);
    const answer = session.waiting.get(last);
    stream(res);
    if (answer) {
        event(res, answer);
        return res.end();
    }
    res.write(': open\n\n');
    session.streams.add(res);
    res.on('close', () => session.streams.delete(res));
}

function control(path, res) {
    if (path === '/_forget') sessions.clear();
    if (path === '/_reset') reset();
    if (path === '/_release') for (const go of held.splice(0)) go();
    if (path === '/_say') {
        const id = `say-${randomUUID()}`;
        for (const session of sessions.values())
            for (const out of session.streams) event(out, { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: id } }, id);
    }
    return json(res, 200, { ...seen, open: [...sessions.values()].reduce((n, one) => n + one.streams.size, 0), alive: sessions.size, held: held.length });
}

const listener = createServer((req, res) => {
    let body = '';
    const { pathname, searchParams } = new URL(req.url, 'http://localhost');
    req.setEncoding('utf8').on('data', (chunk) => (body += chunk));
    req.on('end', () => {
        if (pathname.startsWith('/_')) return control(pathname, res);
        if (req.method === 'GET') return get(req, res);
        if (req.method === 'DELETE') {
            seen.ended++;
            if (!searchParams.has('keeps')) sessions.delete(req.headers['mcp-session-id']);
            return res.writeHead(204).end();
        }
        return post(JSON.parse(body), req, res, searchParams);
    });
    req.on('error', () => {});
    res.on('error', () => {});
});
listener.keepAliveTimeout = 60_000;
listener.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log(`listening ${listener.address().port}`));
