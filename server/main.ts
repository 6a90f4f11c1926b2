import { createConnection, ProposedFeatures } from 'vscode-languageserver/node';
import { RecipeServer } from './server';

new RecipeServer(createConnection(ProposedFeatures.all)).listen();
