// Our fixture on SDK v2 over stdio, both eras. Usage: stdio_v2.mjs [--modern-only]
import { McpServer, ResourceTemplate, completable } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { register } from './surface.mjs';

const kit = {
    ResourceTemplate,
    completable,
    context: (extra) => ({
        headers: { pid: process.pid },
        signal: extra.mcpReq.signal,
        progressToken: extra.mcpReq._meta?.progressToken,
        notify: (message) => extra.mcpReq.notify(message),
    }),
};

serveStdio(() => {
    const server = new McpServer({ name: 'fixture-stdio-v2', version: '1.0.0' }, { instructions: 'a fixture' });
    register(server, kit);
    return server;
}, { legacy: process.argv.includes('--modern-only') ? 'reject' : 'serve' });
