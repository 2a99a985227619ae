// Passkeys: the one thing of these pages that needs a script. A form with data-passkey asks this server for options, lets the
// browser ask its person, and is then sent like any other form.
'use strict';

const toBytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
const toText = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
const withBytes = (list) => list.map((item) => ({ ...item, id: toBytes(item.id) }));

async function askServer(form) {
    const answer = await fetch('/login/passkey/options', {
        method: 'POST',
        credentials: 'same-origin',
        body: new URLSearchParams({ csrf_token: form.elements.csrf_token.value, purpose: form.dataset.passkey }),
    });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.error.message);
    return { ...body, challenge: toBytes(body.challenge) };
}

async function create(options) {
    const { response } = await navigator.credentials.create({
        publicKey: { ...options, user: { ...options.user, id: toBytes(options.user.id) }, excludeCredentials: withBytes(options.excludeCredentials) },
    });
    return { client_data: toText(response.clientDataJSON), attestation: toText(response.attestationObject) };
}

async function get(options) {
    const { id, response } = await navigator.credentials.get({ publicKey: { ...options, allowCredentials: withBytes(options.allowCredentials) } });
    return {
        credential_id: id,
        client_data: toText(response.clientDataJSON),
        authenticator_data: toText(response.authenticatorData),
        signature: toText(response.signature),
        user_handle: response.userHandle ? toText(response.userHandle) : '',
    };
}

function explain(error) {
    if (error.name === 'NotAllowedError') return 'Nothing came back from your device. Try again, or choose another way.';
    if (error.name === 'InvalidStateError') return 'This device has a passkey for you already.';
    if (error.name === 'SecurityError') return 'Your browser allows no passkeys at this address.';
    return error.message;
}

async function send(form) {
    const problem = form.querySelector('.problem');
    const button = form.querySelector('button');
    problem.hidden = true;
    button.disabled = true;
    try {
        const options = await askServer(form);
        const fields = form.dataset.passkey === 'register' ? await create(options) : await get(options);
        for (const [name, value] of Object.entries(fields)) form.elements[name].value = value;
        form.submit();
    } catch (error) {
        problem.textContent = explain(error);
        problem.hidden = false;
        button.disabled = false;
        button.focus();
    }
}

if (window.PublicKeyCredential)
    for (const form of document.querySelectorAll('form[data-passkey]')) {
        form.hidden = false;
        form.addEventListener('submit', (event) => {
            event.preventDefault();
            send(form);
        });
    }
