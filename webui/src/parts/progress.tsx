/** How far something is, in words for everybody and as a bar. */
export function Progress({ text, done }: { text: string; done: number | null }) {
  const percent = done === null ? null : Math.floor(done * 100);
  return (
    <div id="progress" class="progress">
      <p role="status">{text}</p>
      {percent === null ? <progress aria-label={text} /> : <progress aria-label={text} value={percent} max={100} />}
      {percent !== null && <p class="percent" aria-hidden="true">{`${percent} %`}</p>}
    </div>
  );
}
