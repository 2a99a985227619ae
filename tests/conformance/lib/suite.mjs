// Runs the official suite and reads what it wrote: per scenario the checks that did not succeed.
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, within } from '../../e2e/lib/children.mjs';

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const program = join(here, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
const deadline = 15 * 60_000;

/** Every checks.json below a folder: {scenario folder's name: checks}. */
function readChecks(dir, found = {}) {
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
        if (!entry.isDirectory()) continue;
        const file = join(dir, entry.name, 'checks.json');
        if (existsSync(file)) found[entry.name] = JSON.parse(readFileSync(file, 'utf8'));
        else readChecks(join(dir, entry.name), found);
    }
    return found;
}

// A folder is called SCENARIO-TIME, with the mode before it unless that is client; of a scenario auth/x the folder is called x-TIME, in the folder auth.
const scenarioOf = (folder) => folder.replace(/-\d{4}-\d\d-\d\dT.*$/, '').replace(/^(authorization-)?server-/, '');
/** In the authorization mode nothing is skipped without a fault: there every check of the suite is for us. */
const isBadIn = (mode) => ({ status }) => status === 'FAILURE' || status === 'WARNING' || (mode === 'authorization' && status === 'SKIPPED');

/** The scenarios that the summary names. */
function summary(out) {
    const lines = out.slice(Math.max(0, out.indexOf('=== SUMMARY ==='))).split('\n');
    return lines.flatMap((line) => {
        const match = /^([✓✗]) (\S+): (\d+) passed, (\d+) failed/.exec(line);
        return match ? [{ scenario: match[2], hasFailed: match[1] === '✗' }] : [];
    });
}

/**
 * Runs the suite with these arguments, and whileRunning(child) beside it: [{scenario, bad: [{id, status, message}]}]. Throws when it did not come to its summary.
 * A warning counts as bad: what is a fault of the server under test says the baseline.
 */
export async function runSuite(args, { env = {}, whileRunning } = {}) {
    const dir = mkdtempSync(join(tmpdir(), 'tulle-conformance-'));
    try {
        const child = launch(process.execPath, [program, ...args, '-o', dir], { env: { ...process.env, ...env, NO_COLOR: '1' }, cwd: here });
        child.stdin.end();
        const isOver = within(deadline, `conformance ${args.join(' ')}`, child.ended);
        await Promise.all([isOver, whileRunning?.(child)]).finally(() => child.end ?? child.kill('SIGKILL'));
        const scenarios = summary(child.out);
        if (scenarios.length === 0) throw new Error(`the suite did not finish: ${child.out.slice(-2000)}${child.err.slice(-2000)}`);
        const checks = Object.entries(readChecks(dir)).map(([folder, list]) => [scenarioOf(folder), list]);
        return scenarios.map(({ scenario, hasFailed }) => {
            const list = checks.find(([name]) => name === scenario || name === scenario.split('/').at(-1))?.[1] ?? [];
            const bad = list.filter(isBadIn(args[0])).map(({ id, status, errorMessage, details }) => ({ id, status, message: errorMessage ?? JSON.stringify(details ?? {}) }));
            if (hasFailed && bad.length === 0) bad.push({ id: 'scenario', status: 'FAILURE', message: 'the scenario failed without saying which check' });
            return { scenario, bad };
        });
    } finally {
        rmSync(dir, { recursive: true, force: true });
    }
}
