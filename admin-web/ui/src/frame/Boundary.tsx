// A screen that breaks takes nothing else with it.

import { Component, type ReactNode } from "react";
import { Fault } from "./Fault";

export class Boundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state = { error: undefined as unknown };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (this.state.error === undefined) return this.props.children;
    return <Fault error={this.state.error} again={() => location.reload()} />;
  }
}
