// The HTTP side that both fixtures share: sessions, replay, and refusing foreign hosts.
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';

const isLocal = (host) => host === undefined || ['localhost', '127.0.0.1', '[::1]'].includes(host.replace(/:\d+$/, ''));

function isForeign({ host, origin }) {
    if (!isLocal(host)) return true;
    return origin !== undefined && !(URL.canParse(origin) && isLocal(new URL(origin).host));
}

export function refuse(res, status, code, message) {
    res.writeHead(status, { 'content-type': 'application/json' });
    res.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code, message } }));
}

/** Keeps what was sent on event streams, so that a client may resume: the SDK's EventStore. */
export function eventStore() {
    const events = [];
    return {
        async storeEvent(streamId, message) {
            events.push({ id: `${streamId}_${events.length}`, streamId, message });
            return events.at(-1).id;
        },
        async getStreamIdForEventId(id) {
            return events.find((event) => event.id === id)?.streamId;
        },
        async replayEventsAfter(lastId, { send }) {
            const at = events.findIndex((event) => event.id === lastId);
            if (at < 0) return '';
            const { streamId } = events[at];
            // An event without a method and a result only opened the stream.
            for (const event of events.slice(at + 1))
                if (event.streamId === streamId && Object.keys(event.message ?? {}).length > 0) await send(event.id, event.message);
            return streamId;
        },
    };
}

/** list: tools or prompts */
export const tellListChanged = (server, list) => (list === 'tools' ? server.sendToolListChanged() : server.sendPromptListChanged());

/** Sessions over an SDK's stateful transport. `make()` gives an McpServer; changed(list) tells every session. */
export class Sessions {
    constructor(Transport, make) {
        this.Transport = Transport;
        this.make = make;
        this.open = new Map();
    }

    async #start() {
        const server = this.make();
        const transport = new this.Transport({
            sessionIdGenerator: randomUUID,
            eventStore: eventStore(),
            retryInterval: 500,
            onsessioninitialized: (id) => void this.open.set(id, { transport, server }),
            onsessionclosed: (id) => void this.open.delete(id),
        });
        await server.connect(transport);
        return transport;
    }

    async handle(req, res, body) {
        const id = req.headers['mcp-session-id'];
        if (id !== undefined && !this.open.has(id)) return refuse(res, 404, -32001, 'Session not found');
        const transport = this.open.get(id)?.transport ?? await this.#start();
        return transport.handleRequest(req, res, body);
    }

    changed(list) {
        for (const { server } of this.open.values()) tellListChanged(server, list);
    }
}

/** Listens at 127.0.0.1:PORT and prints "listening PORT". handle(req, res) may reject. */
export function listen(handle) {
    const listener = createServer(async (req, res) => {
        if (isForeign(req.headers)) return refuse(res, 403, -32000, 'this server is for localhost');
        try {
            await handle(req, res);
        } catch (error) {
            console.error(error);
            res.destroy();
        }
    });
    listener.keepAliveTimeout = 60_000;
    listener.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log(`listening ${listener.address().port}`));
}
