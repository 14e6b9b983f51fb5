// A line to the instance that can be cut: what is between the browser and the server when a lift closes its doors.

import { connect, createServer } from "node:net";

/**
 * @param {string} base of the instance
 * @returns {Promise<{ base: string, cut: () => void, mend: () => void, close: () => Promise<void> }>}
 */
export async function line(base) {
  const to = new URL(base);
  const open = new Set();
  let whole = true;
  const keep = (socket) => {
    open.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => open.delete(socket));
  };
  const server = createServer((near) => {
    keep(near);
    if (!whole) return near.destroy();
    const far = connect(Number(to.port), to.hostname);
    keep(far);
    near.pipe(far).pipe(near);
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return {
    base: `http://127.0.0.1:${server.address().port}`,
    cut() {
      whole = false;
      for (const socket of open) socket.destroy();
    },
    mend() {
      whole = true;
    },
    close: () =>
      new Promise((done) => {
        for (const socket of open) socket.destroy();
        server.close(done);
      }),
  };
}
