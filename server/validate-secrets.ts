import * as l10n from '@vscode/l10n';
import type { Finding } from './finding';
import type { Recipe, Span } from './recipe';

/** How tokens of services look, wherever they stand; the engine has the same list (`quant_engine/check_secrets.py`). */
const TOKENS = /(?<![A-Za-z0-9_-])(?:(hf_[A-Za-z0-9]{20,})|(gh[opsur]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{20,})|(AKIA[0-9A-Z]{16})|((?:sk|nvapi)-[A-Za-z0-9_-]{20,}))(?![A-Za-z0-9_-])/g;
const SHORTEST_BEGINNING = 8;
const KEYS = /^(?:.*[_-])?(?:token|password|passwd|secret|api[_-]?key|access[_-]?key)$/i;

/** What must not be shown again, and what it is. */
interface Secret extends Span {
    readonly text: string;
    readonly what: string;
}

/** The same findings without the secrets of the recipe in their texts, and one for each secret. Recipes are copied into run directories, and shared. */
export function withSecrets(recipe: Recipe, findings: readonly Finding[]): Finding[] {
    const secrets = secretsOf(recipe);
    if (secrets.length === 0) return [...findings];
    const hidden = findings.map((finding) => ({ ...finding, message: secrets.reduce((message, { text }) => hide(message, text), finding.message) }));
    return [...hidden, ...secrets.map(({ start, end, what }): Finding => ({ code: 'secret', severity: 'warning', span: { start, end }, message: l10n.t('{0} stands here in plain text', what) }))];
}

/** A text about the recipe without its secrets. */
export function withoutSecrets(recipe: Recipe, text: string): string {
    return secretsOf(recipe).reduce((shown, { text: secret }) => hide(shown, secret), text);
}

/** Long names are cut off in some texts: then the beginning of a secret is hidden, too. */
function hide(message: string, secret: string): string {
    let hidden = message.replaceAll(secret, '…');
    for (let length = secret.length - 1; length >= SHORTEST_BEGINNING; length--) hidden = hidden.replaceAll(`${secret.slice(0, length)}…`, '…');
    return hidden;
}

function secretsOf(recipe: Recipe): Secret[] {
    const tokens = [...recipe.text.matchAll(TOKENS)].map(({ 0: text, 1: hub, 2: git, 3: access, index }): Secret => {
        const what = hub ? l10n.t('a Hugging Face token') : git ? l10n.t('a GitHub token') : access ? l10n.t('an access key') : l10n.t('an API key');
        return { start: index, end: index + text.length, text, what };
    });
    const values = recipe.places.filter(({ key, kind, text }) => kind === 'text' && text.trim() !== '' && !text.startsWith('$') && KEYS.test(key?.name ?? ''));
    const named = values.map(({ key, span, text }): Secret => ({ ...span, text, what: l10n.t('the value of "{0}"', key!.name) }));
    return [...tokens, ...named.filter(({ start, end }) => !tokens.some((token) => token.start < end && start < token.end))];
}
