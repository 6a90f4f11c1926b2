import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { samples, startServer, statusOf, withoutToken, type Server } from '../rig';

describe('the server behind `npm run code`', () => {
    let server: Server;

    before(async () => {
        server = await startServer({ driver: false });
    });
    after(() => server?.close());

    it('answers whoever has its address with the token', async () => {
        assert.equal(await statusOf(server.url(samples)), 200);
    });

    it('refuses whoever only knows the port, or guesses', async () => {
        const url = server.url(samples);
        assert.equal(await statusOf(withoutToken(url)), 403);
        assert.equal(await statusOf(url.replace(/tkn=[^&]*/, 'tkn=0')), 403);
        assert.equal(await statusOf(withoutToken(url), 'vscode-tkn=0'), 403);
        assert.equal(await statusOf(`http://127.0.0.1:${server.port}/`), 403);
    });

    it('does not show the token among its arguments, and has another one each time', async () => {
        const token = (of: Server): string => new URL(of.url(samples)).searchParams.get('tkn') ?? '';
        assert.match(token(server), /^[0-9a-f]{48}$/);
        assert.ok(!execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).includes(token(server)));
        const other = await startServer({ driver: false });
        await other.close();
        assert.notEqual(token(other), token(server));
    });
});
