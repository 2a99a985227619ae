// What the program under test takes the addresses of test names to be: it runs with names.c preloaded.
import { buildLibrary, preload } from './preload.mjs';

/** names: {'far.test': '203.0.113.7'}; `also` are settings that preload, too (a clock's). Settings for startTulle(). */
export const makeNames = (names, also = {}) => ({
    ...also,
    ...preload(...[also.LD_PRELOAD, buildLibrary('names').library].filter(Boolean)),
    TULLE_TEST_NAMES: Object.entries(names).map((pair) => pair.join('=')).join(','),
});
