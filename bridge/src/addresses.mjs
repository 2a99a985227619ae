// Which addresses this program speaks to, or opens: what a server says of itself is not taken on trust.

export const isLoopback = ({ hostname }) => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);

/** May `url` be used for the sake of the server at `server`? http is for this machine, and for servers of this machine only. */
export function isUsable(url, server) {
    return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url) && isLoopback(server));
}

/** fetch() for sign-ins: a server must not lead it to other programs of this machine, nor a token over the network in the clear. */
export const carefulFetch = (fetch, server) => async (input, init) => {
    const url = new URL(input);
    if (!isUsable(url, server)) throw new Error(`${server.host} leads to ${url.protocol}//${url.host} for signing in: expected https`);
    return fetch(input, init);
};
