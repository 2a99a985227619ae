// Compares results with the baseline and prints TAP lines. A failure outside the baseline is `not ok`, and so is an entry of the
// baseline whose check succeeded: the list stays honest.
import { readFileSync } from 'node:fs';

const matches = (pattern, name) => new RegExp(`^${pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\/]/g, '\\$&')).join('.*')}$`).test(name);

/**
 * baseline.json: [{cells: [patterns], scenario: pattern, except?: [scenarios], checks?: [ids], depends?: true, reason}]. Without checks the scenario
 * as a whole; every scenario that the pattern names must fail, but with `depends` (on the machine's speed).
 */
export class Report {
    constructor(file) {
        this.entries = JSON.parse(readFileSync(file, 'utf8'));
        this.passed = 0;
        this.failed = 0;
    }

    #line(isOk, name, notes = []) {
        this[isOk ? 'passed' : 'failed']++;
        console.log(`${isOk ? 'ok' : 'not ok'} ${this.passed + this.failed} - ${name}`);
        for (const note of notes) console.log(`  # ${note.replaceAll('\n', ' ').slice(0, 600)}`);
    }

    /** A cell that could not be run at all. */
    broken(cell, error) {
        this.#line(false, cell, [String(error?.stack ?? error)]);
    }

    #known(cell, scenario) {
        return this.entries.filter((entry) => entry.cells.some((pattern) => matches(pattern, cell))
            && matches(entry.scenario, scenario) && !entry.except?.includes(scenario));
    }

    /** Did this scenario fail outside the baseline? */
    isUnexpected(cell, { scenario, bad }) {
        const known = this.#known(cell, scenario);
        return bad.some((check) => !known.some((entry) => !entry.checks || entry.checks.includes(check.id)));
    }

    /** The results of one cell (lib/suite.mjs). */
    cell(cell, results) {
        for (const { scenario, bad } of results) this.#scenario(cell, scenario, bad);
        for (const entry of this.entries) {
            if (!entry.cells.some((pattern) => matches(pattern, cell))) continue;
            if (!results.some(({ scenario }) => matches(entry.scenario, scenario)))
                this.#line(false, `${cell}: ${entry.scenario}`, ['in the baseline, but not run']);
        }
    }

    #scenario(cell, scenario, bad) {
        const known = this.#known(cell, scenario);
        const excuse = (check) => known.find((entry) => !entry.checks || entry.checks.includes(check.id));
        const notes = bad.filter((check) => !excuse(check)).map(({ id, status, message }) => `${status} ${id}: ${message}`);
        for (const entry of known.filter((one) => !one.depends))
            for (const id of entry.checks ?? [undefined])
                if (!bad.some((check) => id === undefined || check.id === id)) notes.push(`in the baseline, but succeeds: ${id ?? scenario}`);
        const reasons = notes.length > 0 ? [] : [...new Set(bad.map((check) => `known: ${excuse(check).reason}`))];
        this.#line(notes.length === 0, `${cell}: ${scenario}`, [...notes, ...reasons]);
    }

    end() {
        console.log(`1..${this.passed + this.failed}`);
        console.log(`# pass ${this.passed}`);
        console.log(`# fail ${this.failed}`);
        return this.failed === 0;
    }
}
