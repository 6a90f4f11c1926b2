/**
 * A child process that plays the engine's part in a conversation: the transport and the policies around it are under test, not the engine.
 * Started as `node -e SOURCE` with the behaviour as its argument.
 */
export const FAKE_ENGINE = `
const { spawn } = require('node:child_process');
const behaviour = process.argv[1];
const send = (message) => {
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message }));
    process.stdout.write('Content-Length: ' + body.length + '\\r\\n\\r\\n');
    process.stdout.write(body);
};
const hello = { protocol: behaviour === 'other-protocol' ? 99 : 1, engine: '0.0.1', python: '3.12.0', executable: process.execPath, pid: process.pid, host: 'here' };
if (behaviour === 'dies') {
    process.stderr.write('ModuleNotFoundError: no torch\\n');
    process.exitCode = 3;
} else {
    if (behaviour === 'stubborn') {
        process.on('SIGTERM', () => {});
        const child = spawn(process.execPath, ['-e', 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)'], { stdio: 'ignore' });
        process.stderr.write('child ' + child.pid + '\\n');
        setInterval(() => {}, 1000);
    }
    let buffer = Buffer.alloc(0);
    process.stdin.on('data', (chunk) => {
        buffer = Buffer.concat([buffer, chunk]);
        for (;;) {
            const end = buffer.indexOf('\\r\\n\\r\\n');
            if (end < 0) return;
            const length = Number(/Content-Length: (\\d+)/.exec(buffer.toString('utf8', 0, end))[1]);
            if (buffer.length < end + 4 + length) return;
            const message = JSON.parse(buffer.toString('utf8', end + 4, end + 4 + length));
            buffer = buffer.subarray(end + 4 + length);
            if (behaviour === 'silent') continue;
            if (message.method === 'hello') send({ id: message.id, result: hello });
            if (message.method === 'devices') {
                if (behaviour === 'crashes') process.kill(process.pid, 'SIGKILL');
                else if (behaviour === 'refuses') send({ id: message.id, error: { code: -32000, message: 'no device' } });
                else send({ id: message.id, result: { torch: '2.0', devices: [], process_bytes: 5 } });
            }
            if (message.method === 'shutdown' && behaviour !== 'stubborn') {
                send({ id: message.id, result: null });
                process.exit(0);
            }
        }
    });
    process.stdin.on('end', () => { if (behaviour !== 'stubborn') process.exit(0); });
}
`;
