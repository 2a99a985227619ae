// A server on SDK v2. Usage: v2.mjs [--modern-only] [--sse]   PORT in the environment. Prints "listening PORT".
import { createServer } from 'node:http';
import { McpServer, ResourceTemplate, completable, createMcpHandler } from '@modelcontextprotocol/server';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { counters, register } from './surface.mjs';

const flags = new Set(process.argv.slice(2));

const kit = {
    ResourceTemplate,
    completable,
    context: (extra) => ({
        headers: Object.fromEntries(extra.http?.req?.headers ?? []),
        url: extra.http?.req?.url,
        signal: extra.mcpReq.signal,
        progressToken: extra.mcpReq._meta?.progressToken,
        notify: (message) => extra.mcpReq.notify(message),
    }),
};

function makeServer() {
    const server = new McpServer({ name: 'fixture-v2', version: '1.0.0' }, { instructions: 'a fixture' });
    register(server, kit);
    return server;
}

const handler = toNodeHandler(createMcpHandler(makeServer, {
    legacy: flags.has('--modern-only') ? 'reject' : 'stateless',
    responseMode: flags.has('--sse') ? 'sse' : 'auto',
}));
const listener = createServer((req, res) => {
    counters.requests++;
    handler(req, res);
});
listener.keepAliveTimeout = 60_000;
listener.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log(`listening ${listener.address().port}`));
