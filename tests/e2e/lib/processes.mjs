// What runs on this machine because of a test, found by a mark in its command line, and what a process holds open.
import { readdirSync, readFileSync } from 'node:fs';

/** Process ids whose command line holds the mark; zombies have none. */
export function marked(mark) {
    return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).filter((pid) => {
        try {
            return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').some((word) => word.includes(mark));
        } catch {
            return false; // it has just ended
        }
    }).map(Number);
}

/** Children of a process, zombies too. */
export function childrenOf(parent) {
    return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).filter((pid) => {
        try {
            const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
            return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
        } catch {
            return false;
        }
    }).map(Number);
}

export const descriptors = (pid) => readdirSync(`/proc/${pid}/fd`).length;
