import * as l10n from '@vscode/l10n';
import { OLDEST_PYTHON, type PythonStatus } from './probe';

/** What is wrong with an interpreter, in one sentence. */
export function pythonProblem(status: Exclude<PythonStatus, { kind: 'ready' }>): string {
    switch (status.kind) {
        case 'not-found':
            return l10n.t('No Python at “{0}”.', status.python);
        case 'too-old':
            return l10n.t('{0} is Python {1}; the engine needs {2} or newer.', status.python, status.version, OLDEST_PYTHON.join('.'));
        case 'packages-missing':
            return l10n.t('{0} (Python {1}) lacks packages of the engine: {2}.', status.python, status.version, status.missing.join(', '));
        case 'broken':
            return l10n.t('{0} does not work: {1}', status.python, status.detail);
    }
}

/** What the user can do about it. */
export function pythonAdvice(status: PythonStatus): string {
    switch (status.kind) {
        case 'ready':
            return '';
        case 'packages-missing':
            return l10n.t('Run “Quant: Set Up Engine”, or install them into this interpreter.');
        case 'not-found':
        case 'too-old':
            return l10n.t('Run “Quant: Set Up Engine”, or choose another interpreter with “Quant: Select Python”.');
        case 'broken':
            return l10n.t('Choose another interpreter with “Quant: Select Python”; the log has its whole output.');
    }
}
