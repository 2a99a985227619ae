// A session server on SDK v1. Usage: v1.mjs [--json]   PORT in the environment. Prints "listening PORT".
// --json: answers are one JSON object (enableJsonResponse); otherwise server-sent events.
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';
import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import { counters, register } from './surface.mjs';

const isJson = process.argv.includes('--json');
const sessions = new Map();

const kit = {
    ResourceTemplate,
    completable,
    context: (extra) => ({
        headers: extra.requestInfo?.headers ?? {},
        signal: extra.signal,
        progressToken: extra._meta?.progressToken,
        notify: (message) => extra.sendNotification(message),
    }),
};

async function openSession() {
    const server = new McpServer({ name: 'fixture-v1', version: '1.0.0' }, { instructions: 'a fixture' });
    register(server, kit);
    const transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: () => randomUUID(),
        enableJsonResponse: isJson,
        onsessioninitialized: (id) => {
            counters.sessions++;
            sessions.set(id, transport);
        },
        onsessionclosed: (id) => {
            counters.sessionsEnded++;
            sessions.delete(id);
        },
    });
    await server.connect(transport);
    return transport;
}

async function handle(req, res) {
    counters.requests++;
    const id = req.headers['mcp-session-id'];
    if (id !== undefined && !sessions.has(id)) {
        res.writeHead(404, { 'content-type': 'application/json' });
        res.end(JSON.stringify({ jsonrpc: '2.0', error: { code: -32001, message: 'Session not found' }, id: null }));
        return;
    }
    await (sessions.get(id) ?? await openSession()).handleRequest(req, res);
}

const listener = createServer((req, res) => {
    // Lets a test take all sessions away, as a restart of the server would.
    if (req.method === 'POST' && req.url === '/_forget') {
        sessions.clear();
        res.writeHead(204).end();
        return;
    }
    handle(req, res).catch((error) => {
        console.error(error);
        res.destroy();
    });
});
listener.keepAliveTimeout = 60_000;
listener.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log(`listening ${listener.address().port}`));
