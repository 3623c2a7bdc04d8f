/** A slider over the moments of a run, placed by step; its right end is "live". */

import { button, h, replace } from '../ui.js';

const MAX_DOTS = 300;

/** Where one looks: at a moment, or at whatever is the newest. */
export class Timeline {
  /** @param {(index: number, isLive: boolean) => void} onChoose */
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.moments = [];
    this.index = -1;
    this.isLive = true;
    this.numSteps = 1;
    this.dots = h('span', { class: 'timeline-dots', 'aria-hidden': 'true' });
    this.reached = h('span', { class: 'timeline-reached', 'aria-hidden': 'true' });
    this.thumb = h('span', { class: 'timeline-thumb', 'aria-hidden': 'true' });
    this.track = h(
      'div',
      {
        class: 'timeline', role: 'slider', tabindex: '0', 'aria-label': 'Moment of the run',
        'aria-orientation': 'horizontal', 'aria-valuemin': '0',
        onkeydown: (event) => this.key(event),
        onpointerdown: (event) => this.grab(event),
        onpointermove: (event) => event.buttons === 1 && this.point(event),
      },
      h('span', { class: 'timeline-rail', 'aria-hidden': 'true' }), this.reached, this.dots, this.thumb,
    );
    this.live = button('Live', { icon: 'end', onClick: () => this.choose(this.moments.length - 1, true) });
    this.element = h(
      'div',
      { class: 'timeline-row' },
      button('Previous event', { icon: 'previous', kind: 'quiet', isIconOnly: true, onClick: () => this.move(-1) }),
      button('Next event', { icon: 'next', kind: 'quiet', isIconOnly: true, onClick: () => this.move(1) }),
      this.track,
      this.live,
    );
  }

  /**
   * Show the run as it stands; at "live" the newest moment is chosen.
   * @param {import('./history.js').Moment[]} moments
   * @param {number} step
   * @param {number} numSteps
   * @param {boolean} isOpen Whether the run may still go on.
   */
  update(moments, step, numSteps, isOpen) {
    const isNew = moments.length !== this.drawnMoments || numSteps !== this.numSteps;
    this.moments = moments;
    this.numSteps = Math.max(1, numSteps);
    this.reached.style.width = this.place(step);
    const end = isOpen ? 'Live' : 'End';
    if (this.live.textContent !== end) replace(this.live, end);
    if (isNew) this.drawDots();
    if (this.isLive) this.index = moments.length - 1;
    this.show();
  }

  /** Go to a moment; the caller is told. */
  choose(index, isLive = false) {
    if (!this.moments.length) return;
    this.index = Math.max(0, Math.min(this.moments.length - 1, index));
    this.isLive = isLive;
    this.show();
    this.onChoose(this.index, this.isLive);
  }

  move(by) {
    const next = this.index + by;
    if (next >= this.moments.length) this.choose(this.moments.length - 1, true);
    else this.choose(next, false);
  }

  key(event) {
    const moves = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
    if (event.key === 'Home') this.choose(0);
    else if (event.key === 'End') this.choose(this.moments.length - 1, true);
    else if (moves[event.key]) this.move(moves[event.key]);
    else return;
    event.preventDefault();
  }

  grab(event) {
    if (event.button !== 0) return;
    this.track.setPointerCapture(event.pointerId);
    this.point(event);
  }

  /** The moment nearest to the pointer. */
  point(event) {
    const box = this.track.getBoundingClientRect();
    const step = ((event.clientX - box.left) / box.width) * this.numSteps;
    let best = 0;
    this.moments.forEach((moment, index) => {
      if (Math.abs(moment.step - step) <= Math.abs(this.moments[best].step - step)) best = index;
    });
    if (best !== this.index || this.isLive) this.choose(best);
  }

  drawDots() {
    this.drawnMoments = this.moments.length;
    const stride = Math.ceil(this.moments.length / MAX_DOTS);
    const shown = this.moments.filter((_, index) => index % stride === 0);
    replace(this.dots, shown.map((moment) => h('i', {
      class: moment.ranks ? 'is-moved' : '', style: { left: this.place(moment.step) },
    })));
  }

  show() {
    const moment = this.moments[this.index];
    this.thumb.hidden = !moment;
    this.live.setAttribute('aria-pressed', String(this.isLive));
    this.track.setAttribute('aria-valuemax', String(Math.max(0, this.moments.length - 1)));
    this.track.setAttribute('aria-valuenow', String(Math.max(0, this.index)));
    if (!moment) {
      this.track.setAttribute('aria-valuetext', 'no event yet');
      return;
    }
    this.thumb.style.left = this.place(moment.step);
    const what = moment.ranks ? 'ranks set' : 'ranks kept';
    const at = `event ${this.index + 1} of ${this.moments.length}, step ${moment.step}, ${what}`;
    this.track.setAttribute('aria-valuetext', this.isLive ? `${at}, newest` : at);
  }

  place(step) {
    return `${(100 * Math.min(1, step / this.numSteps)).toFixed(3)}%`;
  }
}
