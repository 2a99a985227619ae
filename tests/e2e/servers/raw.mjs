// A hand-written MCP server that records what arrives and misbehaves on request. Usage: raw.mjs [--modern]
// PORT in the environment; prints "listening PORT". It knows nothing of any SDK, so what it records is the wire itself.
//   GET /_live          ids of the sessions that were opened and not ended
//   GET /_arrived       the values of "mark" in what arrived
//   GET /_seen          every request so far: {method, url, headers, body, closedEarly}; DELETE /_seen forgets them
//   PUT /_fault         {"METHOD": {"name", ...arguments}}: from now on that JSON-RPC method (or "GET") fails so; {} for none
//   POST /_forget       no session of before exists any more
//   POST /_release      sends the answers that hold keeps back; POST /_push: a message for each stream that stay_open opened
//   tools/call          the tool's name picks the fault (raw_faults.mjs); echo and whoami behave
import { createServer } from 'node:http';
import { faults, json, push, release, sse } from './raw_faults.mjs';

const isModern = process.argv.includes('--modern');
const tools = ['echo', 'whoami', ...Object.keys(faults)];
let seen = [];
let planned = {};
let sessions = 0;
let forgotten = 0;
const live = new Set();

const capabilities = { tools: {}, resources: {}, prompts: {}, completions: {} };
const complete = isModern ? { resultType: 'complete' } : {};
const cacheable = isModern ? { ...complete, ttlMs: 0, cacheScope: 'private' } : {};

function toolResult(params, req) {
    const value = params.name === 'whoami' ? { url: req.url, headers: req.headers } : params.arguments?.text ?? '';
    return { ...complete, content: [{ type: 'text', text: typeof value === 'string' ? value : JSON.stringify(value) }] };
}

const methods = {
    'tools/list': () => ({
        ...cacheable,
        tools: tools.map((name) => ({ name, description: `raw tool ${name}`, inputSchema: { type: 'object' } })),
    }),
    'tools/call': toolResult,
    'resources/list': () => ({ ...cacheable, resources: [{ uri: 'raw://one', name: 'one' }] }),
    'resources/templates/list': () => ({ ...cacheable, resourceTemplates: [] }),
    'resources/read': (params) => ({ ...cacheable, contents: [{ uri: params.uri, text: 'raw resource' }] }),
    'prompts/list': () => ({ ...cacheable, prompts: [{ name: 'one' }] }),
    'prompts/get': () => ({ ...complete, messages: [{ role: 'user', content: { type: 'text', text: 'raw prompt' } }] }),
    'completion/complete': () => ({ ...complete, completion: { values: ['raw'] } }),
    ping: () => ({}),
};
if (isModern)
    methods['server/discover'] = () => ({
        ...cacheable,
        supportedVersions: ['2026-07-28'],
        capabilities,
        _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'raw', version: '1' } },
    });
else
    methods.initialize = (params, _req, res) => {
        res.setHeader('mcp-session-id', `raw-${++sessions}`);
        live.add(`raw-${sessions}`);
        return { protocolVersion: params.protocolVersion, capabilities, serverInfo: { name: 'raw', version: '1' } };
    };

function answerMessage(message, req, res) {
    const isNotice = message.id === undefined || message.method === undefined;
    if (isNotice && !planned[message.method]) return res.writeHead(202).end();
    const plan = planned[message.method]
        ?? (message.method === 'tools/call' && faults[message.params?.name] && { ...message.params.arguments, name: message.params.name });
    if (plan?.name === 'session_lost') live.delete(req.headers['mcp-session-id']);
    if (plan) return faults[plan.name](res, message.id, plan);
    const method = methods[message.method];
    if (!method) {
        const error = isModern && message.method === 'initialize'
            ? { code: -32022, message: 'Unsupported protocol version', data: { supported: ['2026-07-28'] } }
            : { code: isModern ? -32601 : -32000, message: 'not offered' };
        return json(res, isModern && error.code === -32601 ? 404 : 400, { jsonrpc: '2.0', id: message.id, error });
    }
    const answer = { jsonrpc: '2.0', id: message.id, result: method(message.params ?? {}, req, res) };
    const wantsSse = message.params?.arguments?.sse === true;
    return wantsSse ? sse(res, [answer]).end() : json(res, 200, answer);
}

function control(req, res, body) {
    if (req.url === '/_arrived') return json(res, 200, seen.map((one) => /"mark":"(\w+)"/.exec(one.body)?.[1]).filter(Boolean));
    if (req.method === 'GET') return json(res, 200, req.url === '/_live' ? [...live] : seen);
    if (req.url === '/_forget') forgotten = sessions;
    else if (req.url === '/_release') release();
    else if (req.url === '/_push') push(JSON.parse(body));
    else if (req.method === 'PUT') planned = JSON.parse(body);
    else seen = [];
    return res.writeHead(204).end();
}

function handle(req, res, body) {
    if (req.url.startsWith('/_')) return control(req, res, body);
    const record = { method: req.method, url: req.url, headers: req.headers, rawHeaders: req.rawHeaders, body, closedEarly: false };
    seen.push(record);
    res.on('close', () => {
        record.closedEarly = !res.writableFinished;
    });
    if (Number(req.headers['mcp-session-id']?.slice(4)) <= forgotten) return faults.session_lost(res, null);
    if (req.method === 'DELETE') live.delete(req.headers['mcp-session-id']);
    if (req.method === 'DELETE') return res.writeHead(isModern ? 405 : 204).end();
    if (req.method === 'GET' && planned.GET) return faults[planned.GET.name](res, null, planned.GET);
    if (req.method !== 'POST') return res.writeHead(405, { allow: 'POST' }).end();
    let message;
    try {
        message = JSON.parse(body);
    } catch {
        return json(res, 400, { jsonrpc: '2.0', id: null, error: { code: -32700, message: 'Parse error' } });
    }
    return answerMessage(message, req, res);
}

const listener = createServer((req, res) => {
    let body = '';
    req.setEncoding('utf8');
    req.on('data', (chunk) => (body += chunk));
    req.on('end', () => handle(req, res, body));
    req.on('error', () => {});
    res.on('error', () => {});
});
listener.keepAliveTimeout = 60_000;
listener.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log(`listening ${listener.address().port}`));
