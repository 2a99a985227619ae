// The suite's server mode sends no Authorization header. This stands between it and Tulle and adds one
// to what goes to /mcp, touching nothing else.
import { createServer, request } from 'node:http';

/** Listens at localhost; everything goes to the port `to` with the bearer. {origin, port, close} */
export async function startBearerProxy(bearer) {
    let target;
    const proxy = createServer((req, res) => {
        const headers = { ...req.headers, ...(req.url.startsWith('/mcp') && { authorization: `Bearer ${bearer()}` }) };
        const out = request({ host: '127.0.0.1', port: target.port, method: req.method, path: req.url, headers });
        out.on('response', (answer) => {
            res.writeHead(answer.statusCode, answer.headers);
            res.flushHeaders();
            answer.pipe(res);
            answer.on('error', () => res.destroy());
        });
        out.on('error', () => res.destroy());
        res.on('close', () => out.destroy());
        req.pipe(out);
    });
    await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address();
    return {
        origin: `http://localhost:${port}`,
        forwardTo: (server) => (target = server),
        close: () => {
            proxy.closeAllConnections();
            proxy.close();
        },
    };
}
