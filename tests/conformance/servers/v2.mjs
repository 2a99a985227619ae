// The conformance fixture on SDK v2. Usage: v2.mjs [--modern-only] [--stdio]   PORT in the environment; prints "listening PORT".
// It speaks 2026-07-28, and to older clients sessions; --modern-only refuses those.
import { randomBytes } from 'node:crypto';
import {
    McpServer, ResourceTemplate, completable, createMcpHandler, createRequestStateCodec, fromJsonSchema, inputRequired, isLegacyRequest,
} from '@modelcontextprotocol/server';
import { NodeStreamableHTTPServerTransport, toNodeHandler, toWebRequest } from '@modelcontextprotocol/node';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';
import { Sessions, listen, tellListChanged } from './http.mjs';
import { capabilities, log, register } from './surface.mjs';

const isModernOnly = process.argv.includes('--modern-only');
const isStdio = process.argv.includes('--stdio');
const sealed = createRequestStateCodec({ key: randomBytes(32) });
const clientCapabilities = 'io.modelcontextprotocol/clientCapabilities';

function makeServer() {
    const server = new McpServer({ name: 'conformance-v2', version: '1.0.0' },
        { capabilities, instructions: 'a fixture', requestState: { verify: sealed.verify } });
    const capabilitiesOf = (extra) => extra.mcpReq.envelope?.[clientCapabilities] ?? server.server.getClientCapabilities();
    register(server, {
        ResourceTemplate,
        completable,
        fromJsonSchema,
        argsSchema: (shape) => z.object(shape),
        play: async (extra, turn) => {
            const { inputResponses: answers = {}, requestState } = extra.mcpReq;
            const next = await turn({ answers, state: requestState(), capabilities: capabilitiesOf(extra) });
            if (!next.ask) return next;
            return inputRequired({ inputRequests: next.ask, ...(next.state && { requestState: await sealed.mint(next.state) }) });
        },
        context: (extra) => ({
            progressToken: extra.mcpReq._meta?.progressToken,
            notify: (message) => extra.mcpReq.notify(message),
            log: (data) => extra.mcpReq.log('info', data, log(data).params.logger),
            closeStream: extra.http?.closeSSE,
            changed: (list) => {
                if (isStdio) return tellListChanged(server, list);
                modern.notify[`${list}Changed`]();
                sessions.changed(list);
            },
        }),
    });
    server.server.setRequestHandler('resources/subscribe', () => ({}));
    server.server.setRequestHandler('resources/unsubscribe', () => ({}));
    return server;
}

const modern = createMcpHandler(makeServer, { legacy: 'reject' });
const serveModern = toNodeHandler(modern);
const sessions = new Sessions(NodeStreamableHTTPServerTransport, makeServer);

async function readBody(req) {
    let text = '';
    for await (const chunk of req.setEncoding('utf8')) text += chunk;
    try {
        return JSON.parse(text);
    } catch {
        return undefined;
    }
}

if (isStdio) serveStdio(makeServer, { legacy: isModernOnly ? 'reject' : 'serve' });
else listen(async (req, res) => {
    if (isModernOnly) return serveModern(req, res);
    const body = req.method === 'POST' ? await readBody(req) : undefined;
    const isLegacy = await isLegacyRequest(await toWebRequest(req, body), body);
    return isLegacy ? sessions.handle(req, res, body) : serveModern(req, res, body);
});
