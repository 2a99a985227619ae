// The official conformance suite against Tulle. Usage: run.mjs [CELL...]: all cells, or those whose name contains one of the words.
// TULLE_BIN: the program. Prints TAP. baseline.json lists, with its reason, every check that fails and is not ours.
//
// A cell is SERVER-WAY-REVISION. Servers: v1 (sessions), v2 (2026-07-28 and sessions), v2only (2026-07-28 alone). Ways: direct,
// proxy through Tulle, or stdio through Tulle as a child of it. So v1-proxy-2025-11-25 and v2only-proxy-2026-07-28 stay within their era, v1-proxy-2026-07-28 and
// v2only-proxy-2025-11-25 are translated. management is Tulle's own server at /mcp,
// authorization its authorization server; client is Tulle as the client of the suite's own servers.
import { launch, until, freePort } from '../e2e/lib/children.mjs';
import { Browser } from '../e2e/lib/browser.mjs';
import { makeOwner } from '../e2e/lib/oauth.mjs';
import { startTulle } from '../e2e/lib/tulle.mjs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startBearerProxy } from './lib/bearer_proxy.mjs';
import { runAuthorization } from './lib/authorization.mjs';
import { Report } from './lib/report.mjs';
import { startTurns } from './lib/turns.mjs';
import { runSuite } from './lib/suite.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const revisions = ['2025-11-25', '2026-07-28'];

const fixtures = { v1: ['v1.mjs'], v2: ['v2.mjs'], v2only: ['v2.mjs', '--modern-only'] };

async function startFixture(name) {
    const [script, ...args] = fixtures[name];
    const port = await freePort();
    const child = launch(process.execPath, [join(here, 'servers', script), ...args], { env: { ...process.env, PORT: String(port) } });
    await until(`the fixture ${name} listens`, () => {
        if (child.end) throw new Error(`the fixture ${name} ended: ${child.err}`);
        return /listening/.test(child.out);
    });
    return { url: `http://localhost:${port}/mcp`, local: `http://127.0.0.1:${port}/mcp`, child };
}

/** Everything that the cells need, each part started when the first cell asks. */
class Rig {
    #parts = new Map();

    #once(name, start) {
        if (!this.#parts.has(name)) this.#parts.set(name, start());
        return this.#parts.get(name);
    }

    fixture(name) {
        return this.#once(`fixture ${name}`, () => startFixture(name));
    }

    /** Tulle at an address that adds the bearer: {tulle, org, front}. */
    tulle() {
        return this.#once('tulle', async () => {
            let org;
            const front = await startBearerProxy(() => org.key);
            const tulle = await startTulle({ env: { BASE_URL: front.origin } });
            front.forwardTo(tulle);
            org = await makeOwner(tulle, 'conformance');
            return { tulle, org, front };
        });
    }

    /** The owner's browser, signed in: {origin, cookies}. */
    browser() {
        return this.#once('browser', async () => {
            const { org, front } = await this.tulle();
            const browser = new Browser(front.origin);
            await browser.signIn(org.email, org.password);
            return { origin: front.origin, cookies: [...browser.jar] };
        });
    }

    #connected(name, makeFields) {
        return this.#once(`connection ${name}`, async () => {
            const [{ tulle, org, front }, fields] = await Promise.all([this.tulle(), makeFields()]);
            const connection = await tulle.connect(org, { name, slug: name, ...fields });
            return `${front.origin}/mcp/${connection.id}`;
        });
    }

    /** The address of a fixture behind Tulle. */
    proxied(name) {
        return this.#connected(name, async () => ({ url: (await this.fixture(name)).local }));
    }

    /** The same with the fixture as Tulle's child. */
    child(name) {
        const [script, ...args] = fixtures[name];
        return this.#connected(`${name}-stdio`, () =>
            ({ transport: 'stdio', command: process.execPath, args: [join(here, 'servers', script), ...args, '--stdio'] }));
    }

    async close() {
        if (!this.#parts.has('tulle')) return;
        const { tulle, front } = await this.tulle();
        front.close();
        await tulle.end();
    }
}

const server = (url, revision) => runSuite(['server', '--url', url, '--requirements', revision]);

async function client(rig, ...which) {
    const [{ tulle, org }, browser, turns] = await Promise.all([rig.tulle(), rig.browser(), startTurns(4)]);
    const command = `${process.execPath} ${join(here, 'lib/client.mjs')}`;
    const env = { TULLE_URL: tulle.url, TULLE_KEY: org.key, TULLE_BROWSER: JSON.stringify(browser), TULLE_TURNS: String(turns.port) };
    // The suite's 30 s begin before a scenario's turn.
    return runSuite(['client', '--command', command, '--timeout', '300000', ...which], { env }).finally(turns.close);
}

/** The scenarios that need nothing of a server but what the management server offers: tools, without sessions of its own. */
const forManagement = [
    'server-initialize', 'ping', 'tools-list', 'dns-rebinding-protection', 'server-stateless', 'server-session-lifecycle', 'http-header-validation',
    'input-required-result-unsupported-methods', 'input-required-result-validate-input',
];

/** {name: run(rig)} */
function makeCells() {
    const cells = {};
    for (const revision of revisions) {
        for (const name of Object.keys(fixtures)) {
            // A fixture speaks for itself only where it knows the revision.
            const isForeign = (name === 'v1' && revision === '2026-07-28') || (name === 'v2only' && revision === '2025-11-25');
            if (!isForeign) cells[`${name}-direct-${revision}`] = async (rig) => server((await rig.fixture(name)).url, revision);
            cells[`${name}-proxy-${revision}`] = async (rig) => server(await rig.proxied(name), revision);
            if (name !== 'v2') cells[`${name}-stdio-${revision}`] = async (rig) => server(await rig.child(name), revision);
        }
        cells[`client-${revision}`] = (rig) => client(rig, '--requirements', revision);
        cells[`management-${revision}`] = async (rig) => (await server(`${(await rig.tulle()).front.origin}/mcp`, revision))
            .filter(({ scenario }) => forManagement.includes(scenario));
    }
    // The first revision with OAuth: the suite has two scenarios for it, in no set of requirements.
    cells['client-2025-03-26'] = (rig) => client(rig, '--suite', 'backcompat', '--spec-version', '2025-03-26');
    cells.authorization = async (rig) => {
        const { tulle, front } = await rig.tulle();
        return runAuthorization(tulle, front.origin);
    };
    return cells;
}

/** The suite waits for some answers only 500 ms, which a busy machine may need: what failed is asked once more. */
async function runTwice(name, run) {
    const results = await run(rig);
    if (name === 'authorization' || !results.some((result) => report.isUnexpected(name, result))) return results;
    const again = new Map((await run(rig)).map((result) => [result.scenario, result]));
    return results.map((result) => report.isUnexpected(name, result) ? again.get(result.scenario) ?? result : result);
}

const words = process.argv.slice(2);
const report = new Report(join(here, 'baseline.json'));
const rig = new Rig();
for (const [name, run] of Object.entries(makeCells())) {
    if (words.length > 0 && !words.some((word) => name.includes(word))) continue;
    try {
        report.cell(name, await runTwice(name, run));
    } catch (error) {
        report.broken(name, error);
    }
}
await rig.close().catch((error) => report.broken('Tulle ends cleanly', error));
process.exit(report.end() && report.passed > 0 ? 0 : 1);
