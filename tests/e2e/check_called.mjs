// Fails when a management tool was never called by any test. Usage: check_called.mjs FILE (lines "listed NAME" and "called NAME").
import { readFileSync } from 'node:fs';

const lines = readFileSync(process.argv[2], 'utf8').split('\n').filter(Boolean);
const names = (word) => new Set(lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1)));
const called = names('called');
const listed = names('listed');
const forgotten = [...listed].filter((name) => !called.has(name)).sort();
if (listed.size === 0 || forgotten.length > 0) {
    console.log(listed.size === 0 ? 'no tool was listed' : `never called by a test: ${forgotten.join(' ')}`);
    process.exit(1);
}
console.log(`all ${listed.size} management tools were called`);
