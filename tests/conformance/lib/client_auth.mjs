// The suite's auth/* scenarios: the server wants OAuth, and a person in a browser connects it. TULLE_BROWSER in the environment:
// {origin, cookies} of somebody who is signed in to Tulle.
import { Browser, onward } from '../../e2e/lib/browser.mjs';
import { arriveBack, authorizeAt } from '../../e2e/lib/downstream.mjs';

/** How often a person tries to connect one server before they give up. */
const patience = 5;

/** What an administrator tells Tulle of the scenario's server beside its address: fields of the connection, and a client that is registered there. */
export function settingsFor(scenario, { client_id, client_secret, private_key_pem: private_key }) {
    const name = scenario.slice('auth/'.length);
    const fields = { auth: 'oauth', credential_scope: /scope|iss/.test(name) ? 'user' : 'organization' };
    if (name.startsWith('client-credentials')) fields.metadata = { oauth: { grant: 'client_credentials' } };
    // The suite wants a client metadata document at this very address, and takes it without reading it; Tulle's own is at its BASE_URL.
    if (name === 'basic-cimd') return { fields, client: { client_id: 'https://conformance-test.local/client-metadata.json' } };
    return { fields, client: (client_secret || private_key) && { client_id, client_secret, private_key } };
}

/** Opens the address that Tulle gave, presses Connect, and follows the authorization server's redirects back. */
async function follow(address) {
    const { origin, cookies } = JSON.parse(process.env.TULLE_BROWSER);
    const browser = new Browser(origin);
    browser.jar = new Map(cookies);
    const { pathname, search } = new URL(address);
    await browser.open(pathname + search);
    const { fields } = browser.page.form(pathname);
    const sent = await browser.request(pathname, { method: 'POST', body: new URLSearchParams(fields).toString() });
    if (!onward(sent)) throw new Error(`Connect leads nowhere: ${sent.status} ${sent.text}`);
    const page = await arriveBack(browser, await authorizeAt(onward(sent), origin));
    if (page.status !== 200) throw new Error(`it was not connected: ${page.status} ${page.text}`);
}

/** The address where a person connects, wherever an answer or an error has it. */
const addressIn = (value) => /https?:\/\/[^\s"\\]*\/oauth\/connect\/[^\s"\\]*/.exec(JSON.stringify(value))?.[0];

/** One request, and whatever it takes to have it answered. */
async function insist(send) {
    for (let i = 0; ; i++) {
        const { result, error } = await send().then((result) => ({ result }), (error) => ({ error }));
        const address = addressIn(error ? { message: error.message, data: error.data } : result.isError && result);
        if (!address && error) throw error;
        if (!address) return result;
        if (i === patience) throw new Error(`it still wants to be connected: ${address}`);
        await follow(address);
    }
}

/** Connects, calls the scenario's tool, lists, and calls again: whatever the server wants on the way is done. The client. */
export async function useGuarded(connect) {
    const client = await insist(connect);
    await insist(() => client.callTool({ name: 'test-tool', arguments: {} }));
    await client.listTools();
    const result = await insist(() => client.callTool({ name: 'test-tool', arguments: {} }));
    if (result.isError) throw new Error(JSON.stringify(result.content));
    return client;
}
