// What a session client has told the server, so that a new session can be told the same: a server that restarted forgets.

export class SessionMemory {
    initialize;
    #level;
    #subscriptions = new Map();

    /** Looks at a request of the host that the server has answered well. */
    note({ method, params }) {
        if (method === 'logging/setLevel') this.#level = params;
        if (method === 'resources/subscribe') this.#subscriptions.set(params?.uri, params);
        if (method === 'resources/unsubscribe') this.#subscriptions.delete(params?.uri);
    }

    /** The requests that bring a fresh session to where the old one was. */
    replay() {
        return [
            ...(this.#level ? [{ method: 'logging/setLevel', params: this.#level }] : []),
            ...[...this.#subscriptions.values()].map((params) => ({ method: 'resources/subscribe', params })),
        ];
    }
}
