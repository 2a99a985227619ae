/* Every maximum in one list: value, unit, reason. */
#pragma once

/* One row per maximum, its reason beside it. */
/* clang-format off */
enum {
    /* HTTP in */
    LIMIT_HEADER_BYTES        = 8 * 1024,         /* bytes of one request's head, cookies twice and 56 for each line: of the MHD pool, which costs every idle stream */
    LIMIT_HEADERS             = 64,               /* header lines of one request */
    LIMIT_BODY_MCP            = 4 * 1024 * 1024,  /* bytes of one MCP message: what the official SDK servers accept */
    LIMIT_BODY_FORM           = 64 * 1024,        /* bytes of a form */
    LIMIT_BODY_SMALL          = 16 * 1024,        /* bytes where no body is expected */
    LIMIT_BODY_DRAIN          = 256 * 1024,       /* bytes read and dropped to deliver a 413 before cutting */
    LIMIT_REQUEST_ARENA       = 64 * 1024 * 1024, /* bytes of all memory of one request */
    LIMIT_CONNECTIONS         = 20000,            /* open client connections of one worker */
    LIMIT_QUERY_PARAMS        = 64,               /* parameters of one query or form */
    LIMIT_COOKIES             = 64,               /* cookies of one request */
    LIMIT_STREAM_QUEUE        = 256 * 1024,       /* bytes queued to a client that does not read, before back-pressure */

    /* JSON */
    LIMIT_JSON_DEPTH          = 64,               /* nesting: recursive parsers run on small fiber stacks */
    LIMIT_JSON_MEMBERS        = 4096,             /* members of one object where duplicates are refused */
    LIMIT_RPC_METHOD          = 256,              /* bytes of a method's name */
    LIMIT_TOOL_NAME           = 1024,             /* bytes of a tool's or prompt's name in a call */
    LIMIT_RESOURCE_URI        = 4096,             /* bytes of a resource's URI in a call */
    LIMIT_RPC_ID              = 256,              /* bytes of a JSON-RPC id */

    /* HTTP out */
    LIMIT_ANSWER_BYTES        = 64 * 1024 * 1024, /* bytes of one downstream answer; streamed, never held whole */
    LIMIT_ANSWER_HELD         = 8 * 1024 * 1024,  /* bytes of one answer that must be held (lists that policy filters, a stateless server's for session clients) */
    LIMIT_SSE_EVENT           = 8 * 1024 * 1024,  /* bytes of one server-sent event */
    LIMIT_SSE_LINE            = 8 * 1024 * 1024,  /* bytes of one line of an event stream */
    LIMIT_ANSWER_HEADERS      = 64 * 1024,        /* bytes of a downstream answer's head */
    LIMIT_PAUSE_HIGH          = 256 * 1024,       /* bytes read from downstream before the transfer is paused */
    LIMIT_CLIENT_KEPT         = 1024,             /* idle connections to servers kept by one worker */
    LIMIT_CLIENT_POOL         = 128,              /* idle easy handles kept by one worker */
    LIMIT_CLIENT_BUFFER       = 32 * 1024,        /* bytes of one buffer kept with an idle easy handle */
    LIMIT_SPAN_QUEUE          = 4096,             /* finished spans waiting for export; beyond it they are dropped */
    LIMIT_SPAN_BATCH          = 512,              /* spans of one export */

    /* Waiting, milliseconds */
    LIMIT_CONNECT_MS          = 10 * 1000,        /* TCP and TLS to a downstream server */
    LIMIT_CONNECT_STEP_MS     = 1500,             /* TCP to one of its addresses while there is another one to try: a lost SYN is sent again after 1 s */
    LIMIT_FIRST_BYTE_MS       = 120 * 1000,       /* a tool may work this long before it says anything */
    LIMIT_IDLE_MS             = 300 * 1000,       /* silence within a downstream stream of one call */
    LIMIT_CALL_MS             = 30 * 60 * 1000,   /* one call in all */
    LIMIT_KEEPALIVE_MS        = 15 * 1000,        /* comment on a silent stream to a client */
    LIMIT_REQUEST_READ_MS     = 30 * 1000,        /* a client's head and body */
    LIMIT_CLIENT_IDLE_MS      = 75 * 1000,        /* a kept connection without a request: longer than the usual 60 s of proxies */
    LIMIT_CLIENT_KEPT_MS      = 60 * 1000,        /* a kept connection to a plain server, unless the server says less */
    LIMIT_CLIENT_READ_MS      = 60 * 1000,        /* a client that takes no byte of its answer */
    LIMIT_DB_MS               = 5 * 1000,         /* one statement or batch */
    LIMIT_DB_LIST_MS          = 10 * 1000,        /* one list query */
    LIMIT_DB_TRIES            = 4,                /* of a batch that lost a deadlock */
    LIMIT_PROBE_MS            = 10 * 1000,        /* one step of CONNECTION_TEST, an era probe */
    LIMIT_RESUMES             = 100,              /* times that the stream of one call may end and be asked for again */
    LIMIT_EVENT_ID            = 4096,             /* bytes of an event id that is sent back for that */
    LIMIT_RETRY_MIN_MS        = 100,              /* before that, whatever the server wishes ... */
    LIMIT_RETRY_MAX_MS        = 60 * 1000,
    LIMIT_RETRY_USUAL_MS      = 1000,             /* ... and when it says nothing */

    /* Fibers and threads */
    LIMIT_FIBER_STACK         = 128 * 1024,       /* bytes, guard page not counted */
    LIMIT_FIBERS              = 10000,            /* per process: a quarter of vm.max_map_count (65,530) is 16,382, less room for the rest */
    LIMIT_FIBER_POOL          = 320,              /* idle stacks kept per worker */
    LIMIT_OFFLOAD_QUEUE       = 1024,             /* jobs waiting for an offload thread */
    LIMIT_OFFLOAD_THREADS     = 64,               /* threads of one offload pool */
    LIMIT_WORKERS             = 64,

    /* Store */
    LIMIT_LIST                = 100,              /* items of one page */
    LIMIT_LIST_DEFAULT        = 50,
    LIMIT_COLLECTION          = 5000,             /* connections that one filtered and ordered collection list looks through */
    LIMIT_WHERE               = 100,              /* conditions of one `where`: each is asked of every connection */
    LIMIT_WHERE_DEPTH         = 8,                /* nesting of and, or, not */
    LIMIT_AUDIT_QUEUE         = 8192,             /* rows waiting for the audit writer; beyond it calls wait */
    LIMIT_AUDIT_WAIT_MS       = 5000,             /* for a place among them; then calls are refused */
    LIMIT_AUDIT_WAITERS       = LIMIT_FIBERS / 4, /* calls that wait so; the others' fibers are for all else */
    LIMIT_AUDIT_TEXT          = 1024,             /* bytes of any other text of an audit row; longer ones are cut */
    LIMIT_AUDIT_ARGUMENTS     = 16 * 1024,        /* bytes of recorded arguments */
    LIMIT_LOG_LINE            = 16 * 1024,        /* bytes of one line of the log; longer ones lose their fields */
    LIMIT_LOG_VALUE           = 1024,             /* bytes of one text value in the log; cut beyond */
    LIMIT_CONFIG_FILE         = 64 * 1024,        /* bytes of tulle.conf or of a NAME_FILE */
    LIMIT_IMPORT              = 1024 * 1024,      /* bytes of a configuration file that tulle import reads */
    LIMIT_DEFINITIONS_KEPT    = 1024 * 1024,      /* bytes of one server's called tools' definitions, of one worker */
    LIMIT_DEFINITION_MS       = 30 * 1000,        /* one of them is read again after that: another node may have seen another */
    LIMIT_CACHE_ENTRIES       = 4096,             /* entries of one cache of one worker */
    LIMIT_DB_QUEUE            = 4096,             /* batches waiting for the store's writer */
    LIMIT_DB_STATEMENTS       = 512,              /* prepared statements kept by one connection */
    LIMIT_DB_BATCH_BYTES      = 32 * 1024 * 1024, /* bytes of one batch or list with its rows */

    /* Names */
    LIMIT_NAME                = 120,              /* bytes of a display name */
    LIMIT_DESCRIPTION         = 2000,
    LIMIT_URL                 = 2048,
    LIMIT_EMAIL               = 254,              /* RFC 5321 4.5.3.1.3 less the brackets */
    LIMIT_TOKEN               = 4096,             /* bytes of a bearer token */
    LIMIT_CREDENTIAL          = 16 * 1024,        /* bytes of one stored credential */
    LIMIT_STATEMENTS          = 100,              /* statements of one custom role */
    LIMIT_STATEMENT_PATTERNS  = 200,              /* patterns of one list of a statement, or of a key */
    LIMIT_PATTERN             = 256,              /* bytes of one pattern */
    LIMIT_TOOLS               = 1000,             /* tools of one connection */
    LIMIT_AGGREGATE           = 200,              /* connections of a hub or virtual server */
    LIMIT_AGGREGATE_PAGE      = 500,              /* entries of one page of a merged list */
    LIMIT_AGGREGATE_WAIT_MS   = 4 * 1000,         /* a merged list waits this long for its slowest server */
    LIMIT_LISTS_KEPT          = 64 * 1024 * 1024, /* bytes of servers' lists that one worker remembers */
    LIMIT_LIST_SILENT_MS      = 60 * 1000,        /* a list is good this long where its server says nothing (sessions: list_changed) */
    LIMIT_LIST_TTL_MS         = 10 * 60 * 1000,   /* the longest ttlMs that is believed */
    LIMIT_LIST_WATCHES        = 2000,             /* streams of the process on which servers say that their lists have changed: each holds a fiber */
    LIMIT_LIST_FAILED_MS      = 5 * 1000,         /* a server that failed to list is asked again after this */
    LIMIT_HEADERS_INJECTED    = 20,               /* headers or query parameters of one credential */

    /* People */
    LIMIT_PASSWORD_MIN        = 8,                /* bytes of a password: NIST SP 800-63B */
    LIMIT_PASSWORD_MAX        = 128,              /* bytes of a password, checked before it is hashed */
    LIMIT_PASSWORD_RUNNING    = 2,                /* passwords hashed at the same time: 19 MiB each, and one offload thread stays free */
    LIMIT_PASSWORD_WAITING    = 32,               /* passwords that are hashed or wait for it: a second of work */
    LIMIT_PASSWORD_MS         = 10 * 1000,        /* a password hashed, waiting included */
    LIMIT_BROWSER_IDLE_MS     = 7 * 24 * 60 * 60 * 1000, /* a browser session unused this long is over */
    LIMIT_SSO_PROVIDERS       = 20,               /* sign-in providers of one organization */
    LIMIT_SSO_TEST_MS         = 10 * 60 * 1000,   /* a dry run of one, and what it showed */
    LIMIT_ORG_DOMAINS         = 100,              /* domains that one organization claims */
    LIMIT_DNS_MS              = 5 * 1000,         /* one look-up of a domain's proof */
    LIMIT_DOMAIN_CHECK_MS     = 24 * 60 * 60 * 1000, /* between two looks at a proven domain, a quarter more or less by chance */
    LIMIT_DOMAIN_RETRY_MS     = 60 * 60 * 1000,   /* ... when the DNS could not be asked */
    LIMIT_DOMAIN_LEASE_MS     = 60 * 1000,        /* one node has a domain to itself: a look-up and a write, with room */
    LIMIT_DOMAIN_MISSES       = 3,                /* looks in a row that find no record before the proof is gone ... */
    LIMIT_DOMAIN_GRACE_MS     = 3 * 24 * 60 * 60 * 1000, /* ... if the first was this long ago: a DNS that moves house loses nothing */
    LIMIT_DNS_RECORDS         = 64,               /* TXT records of one name that are looked at */
    LIMIT_ORG_POLICY          = 256 * 1024,       /* bytes of what an organization demands: 100 clients whose ids are URLs */
    LIMIT_BROWSER_LIFE_DAYS   = 30,               /* a browser session at most */
    LIMIT_USER_AGENT          = 200,              /* bytes of a browser's name that a session keeps */
    LIMIT_INVITATION_DAYS     = 7,                /* links into an organization or to a first password */
    LIMIT_SETUP_LINK_DAYS     = 7,                /* the link of the first start */
    LIMIT_GROUP_MEMBERS       = 10000,            /* people of one group as SCIM shows and changes it */
    LIMIT_GROUPS_SAID         = 1000,             /* groups that one sign-in names */
    LIMIT_GROUP_PAGES         = 10,               /* pages of a list of groups that does not fit into a token */
    LIMIT_SCIM_BODY           = 1024 * 1024,      /* bytes of a SCIM request: a group with all of its members */
    LIMIT_SCIM_FILTER         = 2048,             /* bytes of a SCIM filter or path */
    LIMIT_SCIM_DEPTH          = 16,               /* levels of parentheses in one: the parser recurses */
    LIMIT_SCIM_PAGE           = 200,              /* resources of one SCIM answer */
    LIMIT_SCIM_SCAN           = 20000,            /* members that a filter without an index looks at */
    LIMIT_SCIM_OPERATIONS     = 250,              /* operations of one PATCH */
    LIMIT_FACTOR_TRIES        = 5,                /* codes tried in one sign-in */
    LIMIT_FACTOR_WAIT_MS      = 10 * 60 * 1000,   /* between the first factor and the second */
    LIMIT_RECOVERY_CODES      = 10,               /* of one person */
    LIMIT_PASSKEYS            = 20,               /* of one person */
    LIMIT_PASSKEY_MS          = 5 * 60 * 1000,    /* a challenge is good this long: people look for their key */
    LIMIT_PASSKEY_ASKS        = 60,               /* challenges asked for by one public address in a minute: each is a row */
    LIMIT_CREDENTIAL_ID       = 1023,             /* bytes of a passkey's id: WebAuthn level 2, section 4 */
    LIMIT_FRESH_MS            = 10 * 60 * 1000,   /* dangerous acts ask for a proof that is no older */
    LIMIT_MAIL_BYTES          = 256 * 1024,       /* bytes of one mail */
    LIMIT_MAIL_MS             = 60 * 1000,        /* one mail handed over */
    LIMIT_MAIL_ANSWER_MS      = 30 * 1000,        /* one answer of a mail server */
    LIMIT_MAIL_LEASE_MS       = 3 * 60 * 1000,    /* one sender has a mail to itself: writing and handing over, with room */
    LIMIT_MAIL_RETRY_MIN_MS   = 5 * 1000,         /* before a mail that could not be handed over is tried again, doubling ... */
    LIMIT_MAIL_RETRY_MAX_MS   = 60 * 60 * 1000,
    LIMIT_MAIL_LIFE_MS        = 24 * 60 * 60 * 1000, /* a mail that still is not gone is dropped */
    LIMIT_MAIL_LINK_MS        = 15 * 60 * 1000,   /* links that sign in or set a password */
    LIMIT_MAIL_CONFIRM_MS     = 24 * 60 * 60 * 1000, /* links that prove an address */
    LIMIT_MAIL_ASKS_ADDRESS   = 3,                /* mails of one kind for one address in LIMIT_MAIL_ASKS_ADDRESS_MS */
    LIMIT_MAIL_ASKS_ADDRESS_MS = 15 * 60 * 1000,
    LIMIT_MAIL_ASKS_PEER      = 20,               /* asked for by one public address in LIMIT_MAIL_ASKS_PEER_MS */
    LIMIT_MAIL_ASKS_PEER_MS   = 60 * 60 * 1000,
    LIMIT_MAIL_BROWSER_DAYS   = 365,              /* a browser in which a person signed in is known this long */
    LIMIT_PAGE_BYTES          = 512 * 1024,       /* bytes of one server-rendered page */

    /* Sessions */
    LIMIT_SESSION_IDLE_MS     = 30 * 60 * 1000,   /* a downstream session unused this long is ended */
    LIMIT_SESSION_LIFE_MS     = 24 * 60 * 60 * 1000,
    LIMIT_HEALTH_PATIENTS     = 10000,            /* servers that failed last, remembered by the process */
    LIMIT_SESSIONS_PRINCIPAL  = 64,               /* downstream sessions per (connection, principal) */
    LIMIT_SESSIONS_CONNECTION = 1000,
    LIMIT_PARKED              = 1000,             /* calls that wait for their clients: each holds a fiber and a connection */
    LIMIT_PARKED_PRINCIPAL    = 32,
    LIMIT_PARKED_USER         = 64,               /* of one person, whatever keys and clients they use */
    LIMIT_LISTEN_URIS         = 256,              /* resources of one subscriptions/listen */
    LIMIT_LISTEN_TASKS        = 256,              /* tasks of one at an aggregate */
    LIMIT_LISTENS_PRINCIPAL   = 64,               /* of them that one principal has open at aggregates: each may hold streams at many servers */
    LIMIT_SESSIONS            = 10000,            /* of the process */
    LIMIT_SESSIONS_USER       = 256,              /* of one person at one connection, whatever keys and clients they use */
    LIMIT_PARAM_HEADERS       = 32,               /* Mcp-Param-* headers of one call */
    LIMIT_SESSION_HELLO       = 16 * 1024,        /* bytes of the capabilities that a session client declares */
    LIMIT_SESSION_URIS        = 256,              /* resources that one session client subscribes to */
    LIMIT_SESSION_ASKS        = 64,               /* requests to one session client that it has not answered */
    LIMIT_ASK_MS              = 10 * 60 * 1000,   /* a person may think this long about a question of a server */
    LIMIT_ASK_ROUNDS          = 8,                /* rounds of questions of one call */
    LIMIT_OUTBOX              = 100,              /* messages kept for a session client that has no stream open */
    LIMIT_OUTBOX_BYTES        = 256 * 1024,       /* bytes of them */
    LIMIT_BATCH               = 50,               /* messages of one batch: they run one after the other */
    LIMIT_REPLAY_STREAMS      = 64,               /* event streams of one session that a client may resume */
    LIMIT_REPLAY_CALLS        = 2048,             /* running calls of the process that outlive their clients: each holds a fiber and a connection */
    LIMIT_REPLAY_BYTES        = 4 * 1024 * 1024,  /* bytes kept of one such stream; of a session twice that */
    LIMIT_REPLAY_ALL          = 256 * 1024 * 1024,/* bytes of them in the process; beyond it nothing can be resumed */
    LIMIT_REPLAY_SHARE        = 8,                /* one person has at most this part of LIMIT_REPLAY_ALL and LIMIT_REPLAY_CALLS */
    LIMIT_REPLAY_MS           = 5 * 60 * 1000,    /* they are kept this long after the last was said */
    LIMIT_TOMBSTONES          = 64 * 1024,        /* ended sessions remembered by the process until their handles expire: about 10 MB */
    LIMIT_LISTEN_RETRY_MS     = 60 * 1000,        /* the longest pause before a broken listen stream is opened again */

    /* Processes of stdio servers, and the channels that carry them */
    LIMIT_STDIO_LINE          = 8 * 1024 * 1024,  /* bytes of one message of a process: as of one server-sent event */
    LIMIT_STDERR_LINE         = 2 * 1024,         /* bytes of one line of stderr in the log; cut beyond */
    LIMIT_STDERR_LINES        = 100,              /* lines of stderr in LIMIT_STDERR_MS; the rest is counted and dropped */
    LIMIT_STDERR_MS           = 10 * 1000,
    LIMIT_STDIO_QUEUE         = 8 * 1024 * 1024,  /* bytes waiting for a process that does not read: two largest messages */
    LIMIT_STDIO_CLOSE_MS      = 1500,             /* from the end of stdin to SIGTERM; with the next below the grace of a shutdown */
    LIMIT_STDIO_TERM_MS       = 1000,             /* from SIGTERM to SIGKILL */
    LIMIT_STDIO_START_MS      = 60 * 1000,        /* a first answer: package runners download first */
    LIMIT_STDIO_PROBE_MS      = 30 * 1000,        /* an old server that does not answer what it does not know */
    LIMIT_SSE_ENDPOINT_MS     = 5 * 1000,         /* until an HTTP+SSE server has said where to post: it is its first event */
    LIMIT_STDIO_BACKOFF_MS    = 60 * 1000,        /* longest pause before a program that keeps ending is started again */
    LIMIT_CHANNEL_IDLE_MS     = 5 * 60 * 1000,    /* a process or stream that nobody used and that keeps no session */
    LIMIT_CHANNEL_HELD        = 16 * 1024 * 1024, /* bytes of answers that one request has not read yet */
    LIMIT_CHANNEL_KEPT        = 64,               /* messages kept for a stream that is not open */
    LIMIT_CHANNEL_KEPT_BYTES  = 256 * 1024,
    LIMIT_CHANNELS_PRINCIPAL  = 16,               /* processes per (connection, principal); the longest idle gives way */
    LIMIT_CHANNELS_CONNECTION = 64,
    LIMIT_CHANNELS            = 256,              /* of the installation's node: each costs about 40 MB with Node.js */

    /* OAuth */
    LIMIT_CLIENTS_UNUSED      = 500,              /* registered clients that nobody consented to; older than an hour they make room */
    LIMIT_CLIENT_DOCUMENT     = 10 * 1024,        /* bytes of a client metadata document: the draft recommends 5 KiB */
    LIMIT_REDIRECT_URIS       = 100,              /* redirect URIs of one client */
    LIMIT_SCOPE               = 1024,             /* bytes of a scope parameter */
    LIMIT_SCOPE_GRANTED       = 16 * 1024,        /* bytes of a granted scope that names connections */
    LIMIT_RETURN_TO           = 8192,             /* bytes of the path and query that sign-in leads back to: a whole authorization request */
    LIMIT_STATE               = 4096,             /* bytes of state: RFC 6749 has no maximum, the request head has */
    LIMIT_TARGETS             = 200,              /* choices of one consent page */
    LIMIT_OAUTH_DOCUMENT      = 64 * 1024,        /* bytes of an answer of another authorization server */
    LIMIT_OAUTH_MS            = 10 * 1000,        /* one request to it */
    LIMIT_FOREIGN_TOKEN       = 8 * 1024,         /* bytes of another server's access token */
    LIMIT_FOREIGN_KEPT_MS     = 60 * 1000,        /* such a token is believed this long without looking again */
    LIMIT_FOREIGN_OPAQUE_MS   = 10 * 60 * 1000,   /* a stream that one opened lives this long if it is opaque: only its server knows of its end */
    LIMIT_FOREIGN_CHECKS      = 1200,             /* such tokens of one issuer looked at in a minute */
    LIMIT_FOREIGN_FAILURES    = 20,               /* bad ones of one address in a minute */
    LIMIT_FOREIGN_AT_ONCE     = 500,              /* tokens of one address that are looked at just now: what bad ones may cost before they are counted */
    LIMIT_KEYS_TRIED          = 4,                /* keys of a set that one signature is tried with: a token that names none */
    LIMIT_FOREIGN_SHOWN       = 1024,             /* such tokens that one worker keeps to look at again for streams */
    LIMIT_ISSUERS             = 10,               /* issuers that one organization trusts */
    LIMIT_REFRESH_LEASE_MS    = 20 * 1000,        /* who refreshes a token has it for this long: the request and the write, with room */
    LIMIT_REFRESH_PAUSE_MS    = 5 * 1000,         /* after a refresh that failed for now */
    LIMIT_REFRESH_AHEAD_MS    = 5 * 60 * 1000,    /* before the end of a token, but at most a fifth of its life */
    LIMIT_LINK_GUESSES        = 20,               /* links of one address in a minute that are not valid */
    LIMIT_SECRETS_WARM        = 256,              /* opened secrets of one worker that are kept for a moment */
    LIMIT_SECRET_WARM_MS      = 500,              /* that moment, from the first of them on; all are wiped at once */
    LIMIT_METERS              = 64 * 1024,        /* callers whose rate is remembered while they are idle */
    LIMIT_CALLS_USER          = 2000,             /* running calls of one person, whatever keys and clients they use: a fifth of LIMIT_FIBERS */
    LIMIT_REQUESTS_USER       = 2500,             /* ... and with lists and handshakes, which calls leave room for */
    LIMIT_PUBLISHED           = 512,              /* key sets and metadata of other authorization servers that the process keeps */
    LIMIT_PUBLISHED_FRESH_MS  = 10 * 60 * 1000,   /* one is read again after this */
    LIMIT_PUBLISHED_STALE_MS  = 24 * 60 * 60 * 1000, /* the last good one serves this long while reading fails */
    LIMIT_PUBLISHED_PAUSE_MS  = 60 * 1000,        /* between two reads of one, whatever key is asked for */
    LIMIT_CONNECT_LIFE_MS     = 10 * 60 * 1000,   /* a person may take this long at another authorization server */

    /* SAML */
    LIMIT_SAML_BYTES          = 256 * 1024,       /* bytes of a message: a thousand groups fit */
    LIMIT_SAML_ENCODED        = 400 * 1024,       /* bytes of it in base64, with line breaks */
    LIMIT_SAML_BODY           = 640 * 1024,       /* bytes of the form that brings it, percent-encoded */
    LIMIT_SAML_NODES          = 5000,             /* elements and texts of a message */
    LIMIT_SAML_ATTRIBUTES     = 64,               /* attributes of one element, namespaces included */
    LIMIT_SAML_DEPTH          = 64,               /* nesting */
    LIMIT_SAML_ID             = 256,              /* bytes of an id of a message, of a NameID, of a session index */
    LIMIT_SAML_VALUES         = 200,              /* attributes of an assertion */
    LIMIT_SAML_VALUE          = 4096,             /* bytes of one value */
    LIMIT_SAML_GROUPS         = 1000,             /* groups that an assertion names */
    LIMIT_SAML_METADATA       = 1024 * 1024,      /* bytes of metadata */
    LIMIT_SAML_METADATA_NODES = 20000,
    LIMIT_SAML_REFRESH_TICK_MS = 60 * 1000,       /* between two looks for metadata that is due */
    LIMIT_SAML_REFRESH_BATCH  = 20,               /* of it at one look */
    LIMIT_SAML_REFRESH_LEASE_MS = 10 * 60 * 1000, /* who reads metadata again has it for this long */
    LIMIT_SAML_REFRESH_LEAST_MS = 60 * 60 * 1000, /* metadata is not read more often, whatever it says; so soon after a failure */
    LIMIT_SAML_REFRESH_MOST_MS = 24 * 60 * 60 * 1000, /* nor more seldom */
    LIMIT_SAML_CERTIFICATES   = 6,                /* certificates of one provider: two, and room for roll-over */
    LIMIT_SAML_MS             = 5 * 1000,         /* one message read on an offload thread, waiting included */
    LIMIT_SAML_SKEW_S         = 180,              /* the largest difference of clocks that a provider may be given */
    LIMIT_SAML_WINDOW_MS      = 24 * 60 * 60 * 1000, /* an assertion that is good for longer is none */
    LIMIT_SAML_REQUEST_MS     = 10 * 60 * 1000,   /* a person may take this long at their identity provider */
    LIMIT_SAML_FAILURES       = 20,               /* SAML answers of one address in a minute that are refused */
    LIMIT_SAML_TICKET_MS      = 5 * 60 * 1000,    /* from the assertion to the session: a redirect, or a question */
};
/* clang-format on */
