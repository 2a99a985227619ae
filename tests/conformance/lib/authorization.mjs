// The suite's authorization mode against Tulle's authorization server: it prints an address, and a person with a browser goes there.
import { randomBytes } from 'node:crypto';
import { freePort, until } from '../../e2e/lib/children.mjs';
import { Browser } from '../../e2e/lib/browser.mjs';
import { answerOf, decide, makeClient } from '../../e2e/lib/oauth.mjs';
import { send } from '../../e2e/lib/http.mjs';
import { runSuite } from './suite.mjs';

async function signedIn(tulle, issuer) {
    const person = { email: 'person@people.example', password: randomBytes(18).toString('base64url') };
    const { code, stderr } = await tulle.cli(['user', 'create', '--email', person.email, '--name', 'Person', '--password-stdin'], { stdin: `${person.password}\n` });
    if (code !== 0) throw new Error(stderr);
    await tulle.must('org', 'create', '--name', 'People', '--slug', 'people', '--owner', person.email);
    const browser = new Browser(issuer);
    await browser.signIn(person.email, person.password);
    return browser;
}

/** Goes to the address that the suite prints, allows, and carries the code to the suite's own listener. */
async function consent(browser, child, redirectUri) {
    const address = /^https?:\/\/\S+\?response_type=code\S*$/m;
    await until('the suite prints where to go', () => child.end || address.test(child.out), 60_000);
    const to = new URL(address.exec(child.out)?.[0] ?? '');
    await browser.open(to.pathname + to.search);
    const decided = await decide(browser, 'allow');
    answerOf(decided, redirectUri);
    await send(decided.headers.location, { method: 'GET' });
}

/** A grant by a public client: with a secret the suite does the same where the server allows clients without. */
export async function runAuthorization(tulle, issuer) {
    const port = await freePort();
    const redirectUri = `http://127.0.0.1:${port}/callback`;
    const client = await makeClient(tulle, { redirect_uris: [redirectUri] });
    const browser = await signedIn(tulle, issuer);
    const args = ['authorization', '--url', issuer, '--client-id', client.client_id, '--resource', `${issuer}/mcp`, '-p', String(port)];
    return runSuite(args, { whileRunning: (child) => consent(browser, child, redirectUri) });
}
