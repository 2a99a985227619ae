// A session server on SDK v1 that asks its clients: elicitation, sampling, roots, on the stream of the call or its own.
// Usage: asks.mjs [--json] [--no-stream]   PORT in the environment. Prints "listening PORT".
// --json: answers are JSON, so that questions come on the session's own stream. --no-stream: GET is 405.
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import {
    CallToolRequestSchema, CompleteRequestSchema, CreateMessageResultSchema, ElicitResultSchema, EmptyResultSchema,
    GetPromptRequestSchema, ListPromptsRequestSchema, ListResourcesRequestSchema, ListResourceTemplatesRequestSchema, ListRootsResultSchema,
    ListToolsRequestSchema, McpError, ReadResourceRequestSchema, SetLevelRequestSchema, SubscribeRequestSchema,
    UnsubscribeRequestSchema, UrlElicitationRequiredError,
} from '@modelcontextprotocol/sdk/types.js';

const isJson = process.argv.includes('--json');
const hasStream = !process.argv.includes('--no-stream');
const fresh = () => ({ runs: {}, aborted: 0, refused: [], subscribed: [], unsubscribed: [], levels: [], declared: [], sessions: 0, ended: 0, granted: false });
let seen = fresh();
const sessions = new Map();

const text = (value) => ({ content: [{ type: 'text', text: typeof value === 'string' ? value : JSON.stringify(value) }] });
const schema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] };
const form = { method: 'elicitation/create', params: { mode: 'form', message: 'Your name?', requestedSchema: schema } };
const byUrl = { method: 'elicitation/create', params: { mode: 'url', message: 'Sign in', url: 'https://example.com/sign-in', elicitationId: 'e-1' } };
const sampling = { method: 'sampling/createMessage', params: { messages: [{ role: 'user', content: { type: 'text', text: 'Say hi' } }], maxTokens: 10 } };
const roots = { method: 'roots/list' };
const patience = { timeout: 600_000 };

/** Asks over the stream of the call; an error answer becomes part of the result. */
async function ask(extra, question, result) {
    try {
        return await extra.sendRequest(question, result, patience);
    } catch (error) {
        if (extra.signal.aborted) seen.aborted++;
        else seen.refused.push({ code: error.code, message: error.message });
        return { error: error.code };
    }
}

const tools = {
    echo: (args) => text(args.text ?? 'nothing'),
    form: async (_args, extra) => text(await ask(extra, form, ElicitResultSchema)),
    url: async (_args, extra) => text(await ask(extra, byUrl, ElicitResultSchema)),
    sampling: async (_args, extra) => text(await ask(extra, sampling, CreateMessageResultSchema)),
    roots: async (_args, extra) => text(await ask(extra, roots, ListRootsResultSchema)),
    together: async (_args, extra) => text(await Promise.all([
        ask(extra, form, ElicitResultSchema), ask(extra, sampling, CreateMessageResultSchema), ask(extra, roots, ListRootsResultSchema)])),
    in_turn: async (_args, extra) => {
        const first = await ask(extra, form, ElicitResultSchema);
        await extra.sendNotification({ method: 'notifications/progress', params: { progressToken: extra._meta?.progressToken ?? 'none', progress: 1 } });
        return text([first, await ask(extra, form, ElicitResultSchema)]);
    },
    own_stream: async (_args, _extra, server) => {
        try {
            return text(await server.request(form, ElicitResultSchema, patience));
        } catch (error) {
            return text({ error: error.code });
        }
    },
    url_first: () => {
        if (!seen.granted) throw new UrlElicitationRequiredError([{ mode: 'url', message: 'Sign in', url: 'https://example.com/sign-in', elicitationId: 'e-2' }]);
        return text('granted');
    },
    reserved_error: ({ code = -32021 }) => {
        throw new McpError(code, 'not what it seems');
    },
    // Says what is for other clients, and asks whether anybody is there.
    whispers: async (_args, extra) => {
        for (const [method, params] of [['notifications/elicitation/complete', { elicitationId: 'e-1' }], ['notifications/tasks/status', { taskId: 't' }], ['notifications/example.test/own', { n: 1 }]])
            await extra.sendNotification({ method, params });
        return text(await extra.sendRequest({ method: 'ping' }, EmptyResultSchema));
    },
    log: async (_args, extra) => {
        for (const level of ['debug', 'info', 'warning', 'error'])
            await extra.sendNotification({ method: 'notifications/message', params: { level, data: `a ${level} line` } });
        return text('logged');
    },
    steps: async ({ steps = 3 }, extra) => {
        for (let progress = 1; progress <= steps; progress++)
            await extra.sendNotification({ method: 'notifications/progress', params: { progressToken: extra._meta?.progressToken, progress, total: steps } });
        return text('stepped');
    },
    slow: (_args, extra) => new Promise((resolve) => extra.signal.addEventListener('abort', () => {
        seen.aborted++;
        resolve(text('aborted'));
    })),
    big: ({ bytes, own }) => ({ ...(own && { resultType: 'mine', ttlMs: 'mine' }), ...text('x'.repeat(bytes)), ...(own && { cacheScope: ['mine'], kept: 1 }), _meta: { 'example.test/kept': 1 } }),
    meta: (_args, extra) => text(extra._meta ?? {}),
    change: async (_args, _extra, server) => {
        await server.sendToolListChanged();
        await server.sendResourceListChanged();
        await server.sendPromptListChanged();
        await server.sendResourceUpdated({ uri: 'asks://page/1' });
        await server.sendResourceUpdated({ uri: 'asks://page/2' });
        return text('changed');
    },
};

function serve() {
    const server = new Server({ name: 'asks', version: '2.1.0' }, {
        instructions: 'asks its clients',
        capabilities: {
            tools: { listChanged: true }, prompts: { listChanged: true }, resources: { subscribe: true, listChanged: true }, logging: {}, completions: {},
            tasks: { list: {}, requests: { tools: { call: {} } } },
        },
    });
    const count = (name) => (seen.runs[name] = (seen.runs[name] ?? 0) + 1);
    server.oninitialized = () => seen.declared.push(server.getClientCapabilities());
    server.setRequestHandler(ListToolsRequestSchema, () => ({
        tools: [
            ...Object.keys(tools).map((name) => ({ name, description: `asks ${name}`, inputSchema: { type: 'object' } })),
            { name: 'task_only', inputSchema: { type: 'object' }, execution: { taskSupport: 'required' } },
        ],
    }));
    server.setRequestHandler(CallToolRequestSchema, (request, extra) => {
        count(request.params.name);
        const run = tools[request.params.name];
        if (!run) throw new McpError(-32602, `Unknown tool: ${request.params.name}`);
        return run(request.params.arguments ?? {}, extra, server);
    });
    server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: [{ name: 'asking' }] }));
    server.setRequestHandler(GetPromptRequestSchema, async (_request, extra) => {
        count('prompt');
        const answer = await ask(extra, form, ElicitResultSchema);
        return { messages: [{ role: 'user', content: { type: 'text', text: JSON.stringify(answer) } }] };
    });
    server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources: [{ uri: 'asks://page/1', name: 'one' }] }));
    server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: [] }));
    server.setRequestHandler(ReadResourceRequestSchema, async (request, extra) => {
        const { uri } = request.params;
        if (uri === 'asks://page/none') throw new McpError(-32002, 'Resource not found', { uri });
        const answer = uri === 'asks://page/asking' ? await ask(extra, form, ElicitResultSchema) : 'plain';
        return { contents: [{ uri, text: JSON.stringify(answer) }] };
    });
    server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
        seen.subscribed.push(params.uri);
        return {};
    });
    server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
        seen.unsubscribed.push(params.uri);
        return {};
    });
    server.setRequestHandler(SetLevelRequestSchema, ({ params }) => {
        seen.levels.push(params.level);
        return {};
    });
    server.setRequestHandler(CompleteRequestSchema, () => ({ completion: { values: ['one', 'two'] } }));
    return server;
}

async function openSession() {
    const transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: () => randomUUID(),
        enableJsonResponse: isJson,
        onsessioninitialized: (id) => {
            seen.sessions++;
            sessions.set(id, transport);
        },
        onsessionclosed: (id) => {
            seen.ended++;
            sessions.delete(id);
        },
    });
    await serve().connect(transport);
    return transport;
}

async function control(req, res) {
    if (req.url === '/_forget') for (const [id, transport] of sessions) {
        sessions.delete(id);
        await transport.close();
    }
    if (req.url === '/_grant') seen.granted = true;
    if (req.url === '/_reset') seen = fresh();
    res.setHeader('content-type', 'application/json');
    res.end(JSON.stringify({ ...seen, open: sessions.size }));
}

async function handle(req, res) {
    if (req.url.startsWith('/_')) return control(req, res);
    if (req.method === 'GET' && !hasStream) return res.writeHead(405).end();
    const id = req.headers['mcp-session-id'];
    if (id !== undefined && !sessions.has(id)) {
        res.writeHead(404, { 'content-type': 'application/json' });
        return res.end(JSON.stringify({ jsonrpc: '2.0', error: { code: -32001, message: 'Session not found' }, id: null }));
    }
    if (id === undefined && req.headers['mcp-protocol-version'] === '2026-07-28') return res.writeHead(400).end('no such version');
    return (sessions.get(id) ?? await openSession()).handleRequest(req, res);
}

const listener = createServer((req, res) => {
    handle(req, res).catch((error) => {
        console.error(error);
        res.destroy();
    });
});
listener.keepAliveTimeout = 60_000;
listener.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log(`listening ${listener.address().port}`));
