import { setFlagsFromString } from 'node:v8';
import { createConnection, ProposedFeatures } from 'vscode-languageserver/node';
import { RecipeServer } from './server';

// Nearly all that a keystroke makes is garbage at the next one, and V8 would let it grow to several times what is in use. A flag that it does not know does nothing.
setFlagsFromString('--heap-growing-percent=30');
setFlagsFromString('--semi-space-growth-factor=1');
new RecipeServer(createConnection(ProposedFeatures.all)).listen();
