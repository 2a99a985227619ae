// Compares tests/abuse-rows.md with the names of the tests: a row counts as tested when a test names its number, as `[12]`,
// `[4-14]`, `[74 82]`, `row 12` or `rows 12, 13 and 20-22` in an end-to-end test and as `row_12_` in the name of a unit test.
//   node tests/checks/abuse_rows.mjs            prints what is left and the count; fails where list and tests disagree
//   node tests/checks/abuse_rows.mjs --write    marks in the list what tests name by now
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const list = join(root, 'abuse-rows.md');
const line = /^\| (\d+) \| (.*) \| (.*) \|$/;

/** The numbers in "4-14, 20 and 22". */
function numbers(text) {
    const found = [];
    for (const [, from, to] of text.matchAll(/(\d+)(?:\s*[-–]\s*(\d+))?/g))
        for (let n = Number(from); n <= Number(to ?? from); n++) found.push(n);
    return found;
}

function namedIn(name) {
    const groups = [...name.matchAll(/\[([\d ,–-]+)\]/g), ...name.matchAll(/\brows? ((?:\d+(?:,? and |, | ?[-–] ?| )?)+)/g)];
    return groups.flatMap(([, text]) => numbers(text));
}

/** Every row that a test names, with the files that do. */
function tested() {
    const rows = new Map();
    const add = (n, file) => rows.set(n, new Set([...(rows.get(n) ?? []), file]));
    for (const file of readdirSync(join(root, 'e2e')).filter((name) => name.endsWith('.test.mjs'))) {
        const text = readFileSync(join(root, 'e2e', file), 'utf8');
        for (const [, , name] of text.matchAll(/\b\w+\(\s*(['"`])((?:\\.|(?!\1).)*)\1,\s*(?:[\w{}: _]+,\s*)?(?:async\s*)?\(/g))
            for (const n of namedIn(name)) add(n, `e2e/${file}`);
    }
    for (const file of readdirSync(join(root, 'unit')).filter((name) => /^test_.*\.c$/.test(name))) {
        const text = readFileSync(join(root, 'unit', file), 'utf8');
        for (const [, name] of text.matchAll(/\bcmocka_unit_test\w*\(\s*(\w+)/g))
            for (const [, n] of name.matchAll(/(?:^|_)row_(\d+)/g)) add(Number(n), `unit/${file}`);
    }
    return rows;
}

const rows = tested();
const text = readFileSync(list, 'utf8');
if (process.argv.includes('--write')) {
    const marked = text.split('\n').map((row) => row.replace(line, (_, n, title, state) =>
        `| ${n} | ${title} | ${rows.has(Number(n)) ? 'tested' : state === 'tested' ? 'no test names it any more' : state} |`));
    writeFileSync(list, marked.join('\n'));
}

const faults = [];
const left = [];
let last = 0;
for (const [, n, title, state] of readFileSync(list, 'utf8').split('\n').map((row) => row.match(line)).filter(Boolean)) {
    if (Number(n) !== last + 1) faults.push(`row ${last + 1} is missing`);
    last = Number(n);
    if (state === 'tested' && !rows.has(last)) faults.push(`row ${n} is said to be tested, and no test names it`);
    if (state !== 'tested' && rows.has(last)) faults.push(`row ${n} is tested by ${[...rows.get(last)].join(', ')}: run this with --write`);
    if (state !== 'tested') left.push(`row ${n} is not tested: ${title}: ${state}`);
    if (!state.trim()) faults.push(`row ${n} has no reason`);
}
for (const n of rows.keys()) if (n < 1 || n > last) faults.push(`${[...rows.get(n)].join(', ')} names row ${n}, which does not exist`);
console.log(left.join('\n'));
console.log(faults.map((fault) => `FAULT ${fault}`).join('\n'));
console.log(`abuse rows: ${last - left.length} of ${last} covered by tests that name them`);
process.exitCode = faults.length ? 1 : 0;
