// Messages from stdio to HTTP and back, each as it is. The bridge itself speaks only when the server cannot.
import { isInitializeRequest, isJSONRPCRequest, PROTOCOL_VERSION_META_KEY, SdkHttpError, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import { ParamHeaders } from './params.mjs';
import { patientFetch, reasonOf } from './retry.mjs';
import { SessionMemory } from './session.mjs';

const INTERNAL_ERROR = -32603;
const GOODBYE_MS = 3_000;
const MAX_MESSAGE = 64 * 1024 * 1024; // bytes of one line from the host

const isAnswer = (message) => 'id' in message && !('method' in message);
const isModern = (message) => message.params?._meta?.[PROTOCOL_VERSION_META_KEY] !== undefined;

export class Bridge {
    #stdio = new StdioServerTransport(process.stdin, process.stdout, { maxBufferSize: MAX_MESSAGE });
    #http;
    #pending = new Map(); // id -> {message, http, abort}: requests of the host without an answer
    #own = new Map(); // id -> function: requests of the bridge
    #ownCount = 0;
    #gate = Promise.resolve(); // notifications of the host, in their order
    #memory = new SessionMemory();
    #params = new ParamHeaders();
    #reopening;

    constructor({ url, headers, authorizer, log, wait }) {
        Object.assign(this, { url, headers, authorizer, log });
        const patient = patientFetch({ patienceMs: wait * 1000, onWait: (error) => this.log(`${url.host} does not answer (${reasonOf(error)}), trying again`) });
        this.fetch = async (input, init) => {
            const response = await patient(input, init);
            const bearer = new Headers(init?.headers).get('authorization');
            if (bearer) this.authorizer?.usedBy.set(response, bearer.replace(/^Bearer /i, ''));
            return response;
        };
    }

    /** Resolves when the host has closed stdin and the session is ended. */
    run() {
        return new Promise((resolve, reject) => {
            this.#stdio.onmessage = (message) => this.#fromHost(message);
            this.#stdio.onerror = (error) => this.log(`stdin: ${error.message}`);
            this.#stdio.onclose = () => this.#end().then(resolve, reject);
            this.#connect().then((http) => {
                this.#http = http;
                return this.#stdio.start();
            }).catch(reject);
        });
    }

    /** Ends as if the host had closed stdin. */
    stop() {
        return this.#stdio.close();
    }

    async #connect() {
        const http = new StreamableHTTPClientTransport(this.url, {
            requestInit: { headers: this.headers },
            authProvider: this.authorizer,
            fetch: this.fetch,
            reconnectionOptions: { initialReconnectionDelay: 500, maxReconnectionDelay: 15_000, reconnectionDelayGrowFactor: 1.5, maxRetries: 40 },
        });
        http.onmessage = (message) => this.#fromServer(http, message);
        http.onerror = (error) => this.#onStreamError(http, error);
        await http.start();
        return http;
    }

    async #end() {
        for (const { abort } of this.#pending.values()) abort.abort();
        const late = new Promise((resolve) => setTimeout(resolve, GOODBYE_MS).unref());
        await Promise.race([this.#http?.terminateSession().catch(() => {}), late]);
        await this.#http?.close().catch(() => {});
    }

    // ---- from the server ----

    #fromServer(http, message) {
        if (!isAnswer(message)) return this.#toHost(message);
        const own = this.#own.get(message.id);
        if (own) {
            this.#own.delete(message.id);
            return own(message);
        }
        const asked = this.#pending.get(message.id);
        if (!asked || asked.http !== http) return; // late: the host has an answer, or has cancelled
        this.#pending.delete(message.id);
        if (message.result) this.#learn(http, asked.message, message.result);
        this.#toHost(message);
    }

    #learn(http, { method, params }, result) {
        if (method === 'initialize' && typeof result.protocolVersion === 'string') {
            http.setProtocolVersion(result.protocolVersion);
            this.#memory.initialize = params;
        } else if (method === 'tools/list') this.#params.learn(result.tools);
        else this.#memory.note({ method, params });
    }

    #toHost(message) {
        this.#stdio.send(message).catch((error) => this.log(`stdout: ${error.message}`));
    }

    /** A failing stream of the server's own messages. A 404 there is a lost session; sends have their own handling. */
    #onStreamError(http, error) {
        if (http !== this.#http || !(error instanceof SdkHttpError) || error.status !== 404 || !http.sessionId) return;
        this.#reopen(http).catch((why) => this.log(`no new session: ${this.#explain(why)}`));
    }

    // ---- from the host ----

    #fromHost(message) {
        if (message.method === 'notifications/cancelled' && this.#cancel(message)) return;
        const before = this.#gate;
        if (isJSONRPCRequest(message)) {
            before.then(() => this.#request(message));
            return;
        }
        // Later messages wait for this one: "initialized" must be there before the first request is.
        this.#gate = before.then(() => this.#deliver(message).catch((error) => this.log(this.#explain(error))));
    }

    /** Nobody waits for the answer any more. In the 2026-07-28 revision closing its stream is how HTTP says so: true. */
    #cancel({ params }) {
        const asked = this.#pending.get(params?.requestId);
        this.#pending.delete(params?.requestId);
        if (!asked || !isModern(asked.message)) return false;
        asked.abort.abort();
        return true;
    }

    async #request(message) {
        const asked = { message, http: this.#http, abort: new AbortController() };
        this.#pending.set(message.id, asked);
        try {
            await this.#deliver(message, asked);
        } catch (error) {
            if (this.#pending.get(message.id) !== asked) return; // answered or cancelled meanwhile
            this.#pending.delete(message.id);
            const why = this.#explain(error);
            this.log(why);
            this.#toHost(this.#errorOf(message.id, error, why));
        }
    }

    /** Sends; once more in a new session when the server has forgotten this one. */
    async #deliver(message, asked) {
        await this.#reopening?.catch(() => {});
        const http = this.#http;
        if (asked) asked.http = http;
        try {
            await http.send(message, this.#sendOptions(message, asked));
        } catch (error) {
            const isLost = error instanceof SdkHttpError && error.status === 404 && http.sessionId && !isInitializeRequest(message);
            if (!isLost || !this.#memory.initialize || isAnswer(message)) throw error;
            const fresh = await this.#reopen(http, asked);
            if (asked) asked.http = fresh;
            await fresh.send(message, this.#sendOptions(message, asked));
        }
    }

    #sendOptions(message, asked) {
        if (!asked) return undefined;
        return {
            requestSignal: asked.abort.signal,
            headers: message.method === 'tools/call' && isModern(message) ? this.#params.headersFor(message.params) : undefined,
            onRequestStreamEnd: () => this.#unanswered(message.id, asked),
        };
    }

    /** The stream ended without the answer: what the server did with the request is not known, so it is not sent again. */
    #unanswered(id, asked) {
        if (this.#pending.get(id) !== asked) return;
        this.#pending.delete(id);
        const why = `${this.url.host} broke off before it answered ${asked.message.method}`;
        this.log(why);
        this.#toHost({ jsonrpc: '2.0', id, error: { code: INTERNAL_ERROR, message: why } });
    }

    // ---- a new session in place of one that the server has forgotten ----

    #reopen(lost, retried) {
        if (this.#http !== lost && !this.#reopening) return Promise.resolve(this.#http); // done already
        this.#reopening ??= this.#reopenOnce(lost, retried).finally(() => {
            this.#reopening = undefined;
        });
        return this.#reopening;
    }

    async #reopenOnce(lost, retried) {
        this.log(`${this.url.host} has forgotten the session, opening another one`);
        const http = await this.#connect();
        try {
            const { error, result } = await this.#ask(http, 'initialize', this.#memory.initialize);
            if (error) throw new Error(`the server refused a new session: ${error.message}`);
            http.setProtocolVersion(result.protocolVersion);
            await http.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
            for (const { method, params } of this.#memory.replay()) await this.#ask(http, method, params);
        } catch (error) {
            await http.close(); // the lost one stays: its next 404 is the next attempt
            throw error;
        }
        this.#http = http;
        // What ran in the old session is gone with it, except for what is sent again.
        for (const [id, asked] of this.#pending)
            if (asked.http === lost && asked !== retried && asked.message.method !== 'initialize') this.#unanswered(id, asked);
        await lost.close();
        return http;
    }

    #ask(http, method, params) {
        const id = `tulle-bridge-${++this.#ownCount}-${process.pid}`;
        return new Promise((resolve, reject) => {
            this.#own.set(id, resolve);
            const lost = () => {
                this.#own.delete(id);
                reject(new Error(`${this.url.host} broke off before it answered ${method}`));
            };
            http.send({ jsonrpc: '2.0', id, method, params }, { onRequestStreamEnd: lost }).catch((error) => {
                this.#own.delete(id);
                reject(error);
            });
        });
    }

    // ---- errors ----

    /** One line for a person. */
    #explain(error) {
        const where = this.url.href;
        if (!(error instanceof SdkHttpError)) return error?.name === 'TypeError' || error?.cause ? `${where}: ${reasonOf(error)}` : error.message;
        if (error.status === 401)
            return this.authorizer ? `${where} does not accept the token of this sign-in; tulle-bridge ${where} --logout forgets it`
                : `${where} does not accept the API key (expired, revoked or of another place): make another one and set TULLE_API_KEY`;
        if (error.status === 404) return `${where}: there is no MCP server at this address that you may use (HTTP 404)`;
        const said = this.#bodyOf(error)?.error?.message;
        return `${where}: HTTP ${error.status}${said ? `, ${said}` : ''}`;
    }

    #bodyOf(error) {
        try {
            return JSON.parse(error.data?.text ?? error.text ?? '');
        } catch {
            return undefined;
        }
    }

    /** The server's own JSON-RPC error where the HTTP failure carried one. */
    #errorOf(id, error, why) {
        const said = error instanceof SdkHttpError && error.status !== 401 ? this.#bodyOf(error)?.error : undefined;
        const isRpc = Number.isInteger(said?.code) && typeof said.message === 'string';
        return { jsonrpc: '2.0', id, error: isRpc ? said : { code: INTERNAL_ERROR, message: why } };
    }
}
