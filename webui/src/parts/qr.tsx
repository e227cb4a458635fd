import { encode } from "uqr";
import { useText } from "../text";

/** A QR code, drawn as one path; always dark on light, since not every camera reads the reverse. */
export function QR({ id, text }: { id: string; text: string }) {
  const t = useText();
  const { data, size } = encode(text, { ecc: "M", border: 4 });
  let path = "";
  data.forEach((row, y) =>
    row.forEach((dark, x) => {
      if (dark) {
        path += `M${x} ${y}h1v1h-1z`;
      }
    }),
  );
  return (
    <svg id={id} class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={t.qrLabel} shape-rendering="crispEdges">
      <rect width={size} height={size} />
      <path d={path} />
    </svg>
  );
}
