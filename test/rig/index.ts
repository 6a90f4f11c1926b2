export { root } from '../../scripts/lib/paths.mjs';
export { installExtension, startServer, statusOf, withoutToken, type Server, type ServerOptions } from '../../scripts/lib/vscode-server.mjs';
export { until } from './wait';
export { launchBrowser, themes, withWorkbench, Workbench, type Theme, type WorkbenchOptions } from './workbench';
export { copyWorkspace, samples, type Workspace } from './workspace';
