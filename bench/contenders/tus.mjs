// @tus/server on its file store: tus.mjs FOLDER-OF-NODE-MODULES FOLDER-OF-FILES PORT
import { createRequire } from 'node:module';

const [modules, files, port] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { Server } = await import(require.resolve('@tus/server'));
const { FileStore } = await import(require.resolve('@tus/file-store'));

const server = new Server({ path: '/files', datastore: new FileStore({ directory: files }) });
server.listen({ host: '127.0.0.1', port: Number(port) });
