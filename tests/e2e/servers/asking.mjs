// A stateless server (2026-07-28 only) on SDK v2 that asks its clients. Usage: asking.mjs   PORT in the environment.
//   POST /_publish {"kind": "tools" | "prompts" | "resources" | "updated", "uri"?}   what open listen streams hear
//   POST /_break    cuts the open listen streams            GET /_stats   {listens, cancelled, calls}
// Prints "listening PORT".
import { createServer } from 'node:http';
import { Server, createMcpHandler, inputRequired } from '@modelcontextprotocol/server';
import { toNodeHandler } from '@modelcontextprotocol/node';

const stats = { listens: 0, cancelled: 0, calls: 0, started: 0 };
const text = (value) => ({ content: [{ type: 'text', text: typeof value === 'string' ? value : JSON.stringify(value) }] });
const form = (message) => inputRequired.elicit({
    message,
    requestedSchema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
});
const object = (properties = {}) => ({ type: 'object', properties });

const tools = {
    echo: { input: object({ text: { type: 'string' } }), run: ({ text: words }) => text(words ?? '') },
    ask_form: {
        run: (_args, ctx) => ctx.mcpReq.inputResponses?.who
            ? text(ctx.mcpReq.inputResponses.who)
            : inputRequired({ inputRequests: { who: form('Who are you?') } }),
    },
    ask_url: {
        run: (_args, ctx) => ctx.mcpReq.inputResponses?.page
            ? text(ctx.mcpReq.inputResponses.page)
            : inputRequired({ inputRequests: { page: inputRequired.elicitUrl({ message: 'Sign in', url: 'https://example.com/in' }) } }),
    },
    ask_all: {
        run: (_args, ctx) => ctx.mcpReq.inputResponses
            ? text(ctx.mcpReq.inputResponses)
            : inputRequired({
                inputRequests: {
                    form: form('All at once?'),
                    model: inputRequired.createMessage({ messages: [{ role: 'user', content: { type: 'text', text: 'hi' } }], maxTokens: 5 }),
                    roots: inputRequired.listRoots(),
                },
            }),
    },
    // As many rounds as asked for; what each brought travels in requestState.
    ask_rounds: {
        input: object({ rounds: { type: 'integer' } }),
        run: ({ rounds }, ctx) => {
            const names = JSON.parse(ctx.mcpReq.requestState?.() ?? '[]');
            const answer = ctx.mcpReq.inputResponses?.next;
            if (answer) names.push(answer.content.name);
            return names.length >= rounds
                ? text(names)
                : inputRequired({ inputRequests: { next: form(`Round ${names.length}`) }, requestState: JSON.stringify(names) });
        },
    },
    later: {
        run: (_args, ctx) => ctx.mcpReq.requestState?.() ? text(`state ${ctx.mcpReq.requestState()}`) : inputRequired({ requestState: 'wait "a" bit æ' }),
    },
    whoami: { run: (_args, ctx) => text({ meta: ctx.mcpReq.envelope ?? ctx.mcpReq._meta, headers: Object.fromEntries(ctx.http?.req?.headers ?? []) }) },
    region: {
        input: object({
            region: { type: 'string', 'x-mcp-header': 'Region' },
            count: { type: 'integer', 'x-mcp-header': 'Count' },
            deep: object({ dry: { type: 'boolean', 'x-mcp-header': 'Dry' } }),
        }),
        run: (args, ctx) => text(Object.fromEntries([...ctx.http.req.headers].filter(([name]) => name.startsWith('mcp-')))),
    },
    bad_number: { input: object({ n: { type: 'number', 'x-mcp-header': 'N' } }), run: () => text('') },
    bad_nested: { input: object({ list: { type: 'array', items: { type: 'string', 'x-mcp-header': 'L' } } }), run: () => text('') },
    list_out: {
        output: { type: 'array', items: { $ref: '#/$defs/n' }, $defs: { n: { type: 'integer' } } },
        run: () => ({ ...text('[1,2]'), structuredContent: [1, 2] }),
    },
    talk: {
        run: async (_args, ctx) => {
            for (const level of ['debug', 'warning', 'error']) await ctx.mcpReq.log(level, `said ${level}`);
            return text('talked');
        },
    },
    progress: {
        run: async (_args, ctx) => {
            const progressToken = ctx.mcpReq._meta?.progressToken;
            for (const progress of [1, 2, 3]) await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress } });
            return text('done');
        },
    },
    slow: {
        run: (_args, ctx) => new Promise((resolve) => {
            stats.started++;
            ctx.mcpReq.signal.addEventListener('abort', () => {
                stats.cancelled++;
                resolve(text('cancelled'));
            });
        }),
    },
};

function makeServer() {
    const server = new Server({ name: 'asking', version: '1.0.0' }, {
        instructions: 'asks',
        capabilities: {
            tools: { listChanged: true }, prompts: { listChanged: true }, resources: { listChanged: true, subscribe: true }, logging: {},
            extensions: { 'io.modelcontextprotocol/tasks': {}, 'io.modelcontextprotocol/ui': {} },
        },
    });
    server.setRequestHandler('tools/list', () => ({
        tools: Object.entries(tools).map(([name, tool]) => ({
            name, inputSchema: tool.input ?? object(), ...(tool.output && { outputSchema: tool.output }),
        })),
    }));
    server.setRequestHandler('tools/call', (request, ctx) => {
        stats.calls++;
        if (!tools[request.params.name]) throw Object.assign(new Error(`Unknown tool: ${request.params.name}`), { code: -32602 });
        return tools[request.params.name].run(request.params.arguments ?? {}, ctx);
    });
    server.setRequestHandler('resources/list', () => ({ resources: [{ uri: 'ask://one', name: 'one' }] }));
    server.setRequestHandler('resources/read', (request, ctx) => {
        if (request.params.uri === 'ask://one') return { contents: [{ uri: 'ask://one', text: 'one' }] };
        if (request.params.uri !== 'ask://asks')
            throw Object.assign(new Error('Resource not found'), { code: -32602, data: { uri: request.params.uri } });
        const who = ctx.mcpReq.inputResponses?.who;
        return who ? { contents: [{ uri: request.params.uri, text: JSON.stringify(who) }] } : inputRequired({ inputRequests: { who: form('Who reads?') } });
    });
    server.setRequestHandler('prompts/list', () => ({ prompts: [{ name: 'asks' }] }));
    server.setRequestHandler('prompts/get', (request, ctx) => {
        if (request.params.name !== 'asks') throw Object.assign(new Error('Unknown prompt'), { code: -32602 });
        const who = ctx.mcpReq.inputResponses?.who;
        return who
            ? { messages: [{ role: 'user', content: { type: 'text', text: JSON.stringify(who) } }] }
            : inputRequired({ inputRequests: { who: form('Who prompts?') } });
    });
    return server;
}

const handler = createMcpHandler(makeServer, { legacy: 'reject' });
const node = toNodeHandler(handler);
const listens = new Set();

function control(req, res, body) {
    const notify = handler.notify;
    if (req.url === '/_stats') return res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ ...stats, listens: listens.size }));
    if (req.url === '/_break') for (const socket of listens) socket.destroy();
    else if (body.kind === 'updated') notify.resourceUpdated(body.uri);
    else notify[`${body.kind}Changed`]();
    return res.writeHead(204).end();
}

createServer(async (req, res) => {
    if (req.url.startsWith('/_')) {
        let body = '';
        for await (const chunk of req) body += chunk;
        return control(req, res, body && JSON.parse(body));
    }
    if (req.headers['mcp-method'] === 'subscriptions/listen') {
        listens.add(res.socket);
        stats.listens++;
        res.on('close', () => listens.delete(res.socket));
    }
    return node(req, res);
}).listen(Number(process.env.PORT ?? 0), '127.0.0.1', function () {
    console.log(`listening ${this.address().port}`);
});
