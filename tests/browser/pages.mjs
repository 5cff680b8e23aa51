// A page of an origin of its own, and beside it the modules of an unpacked package: modules need their type.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join, normalize } from 'node:path';

// Serves the folder on this port of 127.0.0.1; gives the server and its address.
export async function serve(folder, port) {
  const server = createServer(async (request, response) => {
    if (request.url === '/') {
      response.setHeader('content-type', 'text/html');
      response.end('<!doctype html><title>phone</title>');
      return;
    }
    try {
      const file = await readFile(join(folder, normalize(request.url)));
      response.setHeader('content-type', 'text/javascript');
      response.end(file);
    } catch {
      response.statusCode = 404;
      response.end();
    }
  });
  await new Promise((resolve) => server.listen(Number(port), '127.0.0.1', resolve));
  return { server, base: `http://127.0.0.1:${port}` };
}
