// The conformance fixture on SDK v1: sessions. Usage: v1.mjs [--stdio]   PORT in the environment; prints "listening PORT".
import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import { ErrorCode, McpError, ResultSchema, SubscribeRequestSchema, UnsubscribeRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { Sessions, listen, tellListChanged } from './http.mjs';
import { capabilities, log, register } from './surface.mjs';

const isStdio = process.argv.includes('--stdio');

/** Plays the rounds of a tool that asks the client: each question is a request of its own, those of a round at once. */
async function play(server, extra, turn) {
    const answers = {};
    let state;
    for (let round = 0; round < 8; round++) {
        const next = await turn({ answers, state, capabilities: server.server.getClientCapabilities() });
        if (!next.ask) return next;
        const ask = async ([key, request]) => (answers[key] = await extra.sendRequest(request, ResultSchema));
        await Promise.all(Object.entries(next.ask).map(ask));
        state = next.state;
    }
    throw new McpError(ErrorCode.InternalError, 'too many rounds');
}

function makeServer() {
    const server = new McpServer({ name: 'conformance-v1', version: '1.0.0' }, { capabilities, instructions: 'a fixture' });
    register(server, {
        ResourceTemplate,
        completable,
        argsSchema: (shape) => shape,
        play: (extra, turn) => play(server, extra, turn),
        context: (extra) => ({
            progressToken: extra._meta?.progressToken,
            notify: (message) => extra.sendNotification(message),
            log: (data) => extra.sendNotification(log(data)),
            closeStream: extra.closeSSEStream,
            changed: (list) => isStdio ? tellListChanged(server, list) : sessions.changed(list),
        }),
    });
    server.server.setRequestHandler(SubscribeRequestSchema, () => ({}));
    server.server.setRequestHandler(UnsubscribeRequestSchema, () => ({}));
    return server;
}

const sessions = new Sessions(StreamableHTTPServerTransport, makeServer);
if (isStdio) await makeServer().connect(new StdioServerTransport());
else listen((req, res) => sessions.handle(req, res));
