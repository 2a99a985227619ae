// The sign-in pages in a real browser, scripts disabled: at any width, light and dark, by keyboard, and for those who listen.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startChromium } from './lib/chromium.mjs';
import { startSmtp } from './lib/mail.mjs';
import { makePerson } from './lib/oauth.mjs';
import { plant } from './lib/secrets.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, sink, chromium, ada, page, origin, person;
before(async () => {
    [sink, chromium] = await Promise.all([startSmtp(), startChromium()]);
    tulle = await startTulle({ env: { SMTP_URL: sink.url, MAIL_FROM: 'tulle@mesh.example', ALLOW_REGISTRATION: 'true' } });
    origin = `http://localhost:${tulle.port}`;
    person = await makePerson(tulle, 'ada.lovelace@a-rather-long-name-of-a-company.example', '--operator');
    ada = await chromium.newPerson();
    page = await ada.page();
});
after(async () => {
    await chromium?.close();
    await tulle?.end();
    await sink?.close();
});

const path = (of = page) => new URL(of.url()).pathname;
const press = (name, of = page) => Promise.all([of.waitForEvent('load'), of.getByRole('button', { name, exact: true }).click()]);
async function firstStep(of = page) {
    await of.goto(`${origin}/login`);
    await of.getByLabel('E-mail address').fill(person.email);
    await press('Continue', of);
}

test('an address, the ways in, a link asked for, and the link', async () => {
    await page.goto(`${origin}/login`);
    await ada.look(page, 'sign-in-1');
    await firstStep();
    await ada.look(page, 'sign-in-2');
    await press('Mail me a link to sign in');
    await ada.look(page, 'sign-in-sent');
    assert.equal(await page.getByRole('status').count(), 1);
    const mail = await sink.next(person.email);
    await page.goto(mail.link);
    await ada.look(page, 'sign-in-link');
    const other = await chromium.newPerson();
    const elsewhere = await other.page();
    await elsewhere.goto(mail.link);
    await press('Sign in', elsewhere);
    await other.look(elsewhere, 'sign-in-link-elsewhere');
    await press('Sign in');
    assert.equal(path(), '/account');
    await ada.look(page, 'account-with-mail');
    other.assertQuiet();
});

test('a password forgotten', async () => {
    const other = await chromium.newPerson();
    const window = await other.page();
    await firstStep(window);
    await window.getByLabel('Password').fill('wrong password');
    await press('Sign in', window);
    await other.look(window, 'sign-in-wrong');
    assert.equal(await window.getByRole('alert').count(), 1);
    await press('Forgot your password?', window);
    await other.look(window, 'reset-sent');
    const mail = await sink.next(person.email);
    await window.goto(mail.link);
    await other.look(window, 'reset');
    const stranger = await chromium.newPerson();
    const elsewhere = await stranger.page();
    await elsewhere.goto(mail.link);
    await stranger.look(elsewhere, 'reset-elsewhere');
    await window.getByLabel('New password').fill(plant('a new password'));
    await press('Set the password', window);
    assert.equal(path(window), '/account');
    await window.goto(mail.link);
    await other.look(window, 'link-used');
    other.assertQuiet();
    stranger.assertQuiet();
});

test('a new account, by keyboard alone; and what its mail looks like', async () => {
    const other = await chromium.newPerson();
    const window = await other.page();
    await window.goto(`${origin}/login`);
    await window.getByRole('link', { name: 'Make one' }).click();
    await window.locator('#email:focus').waitFor();
    await other.look(window, 'signup');
    await window.keyboard.type('grace@hopper.example');
    await Promise.all([window.waitForEvent('load'), window.keyboard.press('Enter')]);
    await other.look(window, 'signup-sent');
    const mail = await sink.next('grace@hopper.example');
    await window.goto(mail.link);
    await other.look(window, 'signup-account');
    await window.keyboard.type('Grace');
    await window.keyboard.press('Tab');
    await window.keyboard.type(plant('the password of Grace'));
    await Promise.all([window.waitForEvent('load'), window.keyboard.press('Enter')]);
    assert.equal(path(window), '/account');
    await window.getByLabel('New e-mail address').fill('grace.h@hopper.example');
    await press('Change the address', window);
    await other.look(window, 'email-sent');
    await window.goto((await sink.next('grace.h@hopper.example')).link);
    await other.look(window, 'email-confirm');
    await press('Use it', window);
    assert.match(await window.locator('main').innerText(), /grace\.h@hopper\.example/);
    other.assertQuiet();
    const reader = await (await chromium.newPerson()).page();
    await reader.setContent(mail.html);
    assert.equal(await reader.getByRole('link', { name: 'Make the account' }).getAttribute('href'), mail.link);
    if (process.env.SCREENSHOTS) await reader.screenshot({ path: `${process.env.SCREENSHOTS}/mail.png` });
});
