import { useEffect, useState } from "preact/hooks";
import { getConfig, type Config } from "../api";
import { keepToken, readToken } from "../settings";
import { useText } from "../text";
import { SecretField } from "./secretfield";

export interface TokenState {
  token: string;
  remember: boolean;
  known: Config | null; // what the server says to the token, once it has
}

/** A token, remembered from earlier in this browser session if that was asked for. */
export function useToken() {
  const [state, setState] = useState<TokenState>(() => {
    const token = readToken();
    return { token, remember: token !== "", known: null };
  });
  const { token } = state;
  useEffect(() => {
    if (token === "") {
      return undefined;
    }
    let wanted = true;
    const timer = setTimeout(() => {
      const tell = (known: Config | null) => wanted && setState((now) => ({ ...now, known }));
      getConfig(token).then(tell, () => tell(null)); // without an answer, sending will tell
    }, 400);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [token]);
  return [state, setState] as const;
}

/** The largest secret that somebody may send, in bytes; 0 for any size. */
export function limitOf(config: Config, { token, known }: TokenState): number {
  const own = token === "" ? config : known;
  return own?.limits.caller ?? config.limits.upload;
}

/** Keeps the token until the browser is closed if that was asked for, once it has proved to be good. */
export function settleToken({ token, remember }: TokenState): void {
  keepToken(remember ? token : "");
}

interface Props {
  state: TokenState;
  optional: boolean;
  refused: string | null;
  disabled: boolean;
  onState: (state: TokenState) => void;
}

export function TokenField({ state, optional, refused, disabled, onState }: Props) {
  const t = useText();
  const unknown = state.known !== null && state.known.limits.caller === undefined;
  return (
    <div class="token">
      <SecretField
        id="token"
        label={optional ? t.tokenOptional : t.tokenLabel}
        hint={optional ? t.tokenOptionalHint : t.tokenHint}
        fault={refused ?? (unknown ? t.tokenUnknown : null)}
        value={state.token}
        disabled={disabled}
        onInput={(token) => onState({ ...state, token: token.trim(), known: null })}
      />
      <label class="check">
        <input
          id="remember"
          type="checkbox"
          checked={state.remember}
          disabled={disabled}
          onChange={(event) => {
            onState({ ...state, remember: event.currentTarget.checked });
            if (!event.currentTarget.checked) {
              keepToken("");
            }
          }}
        />
        <span>{t.tokenRemember}</span>
      </label>
    </div>
  );
}
