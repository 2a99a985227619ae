// OAuth towards the server: tokens from the store, refreshed by one bridge at a time, or a sign-in in the browser.
import { randomBytes } from 'node:crypto';
import { auth, extractWWWAuthenticateParams } from '@modelcontextprotocol/client';
import { carefulFetch, isUsable } from './addresses.mjs';
import { listenForCallback, openBrowser } from './callback.mjs';

const SIGN_IN_MS = 5 * 60_000;

export class Authorizer {
    #renewing;

    constructor({ url, store, log, noBrowser = false, port = 0, fetch }) {
        Object.assign(this, { url, store, log, noBrowser, port, fetch });
        this.usedBy = new WeakMap(); // answer -> the token it was asked with
    }

    /** For the transport: the bearer of the next request. */
    token() {
        return this.store.read().tokens?.access_token;
    }

    /** For the transport: the server said 401. Returns when there is another token. */
    onUnauthorized({ response }) {
        return this.renew(this.usedBy.get(response), extractWWWAuthenticateParams(response));
    }

    /** However many requests ask: one renewal at a time, here and among all bridges of this user. */
    renew(usedToken, challenge = {}) {
        this.#renewing ??= this.#renewLocked(usedToken, challenge).finally(() => {
            this.#renewing = undefined;
        });
        return this.#renewing;
    }

    async #renewLocked(usedToken, challenge) {
        const unlock = await this.store.lock();
        try {
            const token = this.token();
            if (token !== undefined && token !== usedToken) return; // another bridge was faster
            await this.#authorize(challenge);
        } finally {
            unlock();
        }
    }

    async #authorize({ resourceMetadataUrl, scope }) {
        const callback = await listenForCallback(this.port || this.store.read().port || 0);
        try {
            const provider = this.#provider(callback);
            const options = { serverUrl: this.url, resourceMetadataUrl, scope, fetchFn: carefulFetch(this.fetch, this.url) };
            if (await auth(provider, options) === 'AUTHORIZED') return;
            const { code, iss } = await provider.answer;
            this.store.change({ port: callback.port });
            await auth(provider, { ...options, authorizationCode: code, iss });
            this.log('signed in');
        } finally {
            callback.close();
        }
    }

    #provider(callback) {
        const { store } = this;
        const state = randomBytes(32).toString('base64url');
        let verifier;
        let discovered; // where the code goes must be where the person signed in
        const provider = {
            redirectUrl: callback.redirectUri,
            clientMetadata: {
                client_name: 'tulle-bridge',
                redirect_uris: [callback.redirectUri],
                grant_types: ['authorization_code', 'refresh_token'],
                response_types: ['code'],
                token_endpoint_auth_method: 'none',
            },
            state: () => state,
            clientInformation: () => store.read().client,
            saveClientInformation: (client) => store.change({ client }),
            tokens: () => store.read().tokens,
            saveTokens: (tokens) => store.change({ tokens }),
            saveCodeVerifier: (value) => { verifier = value; },
            codeVerifier: () => verifier,
            saveDiscoveryState: (value) => { discovered = value; },
            discoveryState: () => discovered,
            redirectToAuthorization: (url) => {
                if (!isUsable(url, this.url)) throw new Error(`the address to sign in at begins with ${url.protocol} and is not opened: expected https`);
                provider.answer = callback.wait(state, SIGN_IN_MS);
                provider.answer.catch(() => {});
                this.log(`sign in at: ${url.href}`);
                if (!this.noBrowser) openBrowser(url);
            },
            invalidateCredentials: (what) => {
                if (what === 'all' || what === 'discovery') discovered = undefined;
                if (what === 'all') store.write({});
                else if (what === 'client') store.change({ client: undefined });
                else if (what === 'tokens') store.change({ tokens: undefined });
            },
        };
        return provider;
    }
}
