// Tables of which Tab reaches one cell, and the arrow keys the others.

const STEPS = {
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  Home: [0, -Infinity],
  End: [0, Infinity],
  PageUp: [-Infinity, 0],
  PageDown: [Infinity, 0],
};

function bounded(value, length) {
  return Math.min(length - 1, Math.max(0, value));
}

/**
 * Move the focus among cells by the keys.
 *
 * cells: rows of elements, all of one length. Gives a function that makes a cell the one that Tab
 * reaches; the cell that has the focus is it.
 */
export function moveByKeys(table, cells) {
  const places = new Map();
  cells.forEach((row, y) => row.forEach((cell, x) => {
    places.set(cell, [y, x]);
    cell.tabIndex = -1;
  }));
  let reached = cells[0][0];
  function reach(y, x) {
    reached.tabIndex = -1;
    reached = cells[y][x];
    reached.tabIndex = 0;
  }
  reach(0, 0);
  table.addEventListener('focusin', (event) => {
    if (places.has(event.target)) reach(...places.get(event.target));
  });
  table.addEventListener('keydown', (event) => {
    const step = STEPS[event.key];
    const place = places.get(event.target);
    if (!step || !place || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    reach(bounded(place[0] + step[0], cells.length), bounded(place[1] + step[1], cells[0].length));
    reached.focus();
  });
  return reach;
}
