// The player of a call: its place in the waveform, speed, jumps to gaps and comments.

// 1:02.5, as the form of a comment reads it.
function timecode(seconds) {
  const tenths = Math.round(seconds * 10);
  const [h, m, s] = [Math.floor(tenths / 36000), Math.floor(tenths / 600) % 60, Math.floor(tenths / 10) % 60];
  const two = (figure) => String(figure).padStart(2, '0');
  return `${h ? `${h}:${two(m)}` : m}:${two(s)}${tenths % 10 ? `.${tenths % 10}` : ''}`;
}

for (const player of document.querySelectorAll('.player')) {
  const audio = player.querySelector('audio');
  const wave = player.querySelector('.wave');
  const speed = player.querySelector('[data-speed]');
  const place = wave && wave.querySelector('.place');
  const length = () => (wave && Number(wave.dataset.ms) / 1000) || audio.duration || 0;

  function draw() {
    if (!place || !length()) return;
    const x = (audio.currentTime / length()) * wave.viewBox.baseVal.width;
    place.setAttribute('x1', x);
    place.setAttribute('x2', x);
  }

  function seek(seconds, play) {
    audio.currentTime = Math.min(Math.max(seconds, 0), length());
    if (play) audio.play().catch(() => {});
    draw();
  }

  if (wave) {
    wave.addEventListener('click', (event) => {
      const box = wave.getBoundingClientRect();
      seek(((event.clientX - box.left) / box.width) * length(), true);
    });
  }
  if (speed) {
    try {
      speed.value = sessionStorage.leaseline_speed || '1';
    } catch {
      speed.value = '1';
    }
    audio.playbackRate = Number(speed.value) || 1;
    speed.addEventListener('change', () => {
      audio.playbackRate = Number(speed.value);
      try {
        sessionStorage.leaseline_speed = speed.value;
      } catch {
        // Then it counts for this page.
      }
    });
  }
  for (const event of ['timeupdate', 'seeked']) audio.addEventListener(event, draw);
  document.addEventListener('click', (event) => {
    const at = event.target.closest && event.target.closest('[data-seek]');
    if (at) {
      event.preventDefault();
      seek(Number(at.dataset.seek) / 1000, true);
    }
    // Where the sound is goes into the comment that is being written.
    const now = event.target.closest && event.target.closest('[data-now]');
    if (now) now.form.elements.at.value = timecode(audio.currentTime);
  });
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || (event.target.closest && event.target.closest('input, textarea, select, button, a, audio, summary'))) return;
    if (event.key === ' ') {
      event.preventDefault();
      if (audio.paused) audio.play().catch(() => {});
      else audio.pause();
    } else if (event.key === 'ArrowLeft') seek(audio.currentTime - 5, false);
    else if (event.key === 'ArrowRight') seek(audio.currentTime + 5, false);
  });
}
